"""What a neighbour does for two members that cannot dial each other: it hands their offers over,
says where it sees each, and names the moment.

Any member does so for those that are linked with it. It cannot forge what they say; what it says
itself counts only together with what they signed (`p2pacs.punch.addresses`).
"""

from __future__ import annotations

from typing import Final

import trio

from p2pacs.concurrency.groups import single_error
from p2pacs.errors import (
    BusyError,
    MalformedMessageError,
    NoSourceError,
    P2PacsError,
    UsageError,
)
from p2pacs.ids import VirtualAddress
from p2pacs.limits import INTRODUCTIONS_A_MINUTE
from p2pacs.mesh.connection import Connection
from p2pacs.mesh.mesh import Mesh
from p2pacs.punch.moment import LATEST, delays
from p2pacs.punch.pairs import AskPace
from p2pacs.wire.messages.messages import (
    MeetAccepted,
    Meeting,
    MeetNow,
    MeetOrder,
    MeetQuery,
    Ping,
    Query,
    Reply,
)

ORDER_SECONDS: Final = 6.0
"""For the other member to say that it is willing, on a line that is in use."""


class Introducer:
    """Answers `MeetQuery`."""

    def __init__(self, mesh: Mesh) -> None:
        """Nobody has asked yet.

        Args:
            mesh: Of this host.
        """
        self._mesh = mesh
        self._pace = AskPace(INTRODUCTIONS_A_MINUTE)

    async def answer(self, asker: VirtualAddress, query: Query) -> Reply:
        """Introduce the asker to the member that it names.

        Raises:
            BusyError: it asked too often.
            NoSourceError: that member is not linked here, or one of the two is seen from inside
                only.
            P2PacsError: why that member is not willing.
        """
        if not isinstance(query, MeetQuery):
            raise MalformedMessageError("no question of a meeting")
        if self._pace.is_exceeded(asker, trio.current_time()):
            raise BusyError(f"more than {INTRODUCTIONS_A_MINUTE} introductions within a minute")
        other = member_of(query.member)
        if other in (asker, self._mesh.me):
            raise MalformedMessageError("a meeting of a member with itself, or with the neighbour")
        self._mesh.allowed(other)
        here, there = self._link(asker), self._link(other)
        order = MeetOrder(1, bytes(asker), query.offer, str(here.peer), str(there.peer))
        trips = _Trips()
        with single_error():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trips.measure, here)
                start = trio.current_time()
                reply = await there.call(order, timeout=ORDER_SECONDS)
                trips.other = trio.current_time() - start
                nursery.cancel_scope.cancel()
        if not isinstance(reply, MeetAccepted):
            raise MalformedMessageError("no answer to an introduction")
        for_asker, for_other = delays(trips.asker or trips.other, trips.other)
        there.send(MeetNow(bytes(asker), round(for_other * 1000)))
        return Meeting(
            query.id, reply.offer, str(there.peer), str(here.peer), round(for_asker * 1000)
        )

    def _link(self, member: VirtualAddress) -> Connection:
        link = self._mesh.links.get(member)
        if link is None or link.peer is None or not link.peer.port:
            raise NoSourceError(f"{self._mesh.name(member)} is not linked here")
        if link.lan:
            raise NoSourceError(f"{self._mesh.name(member)} is seen from inside its network here")
        return link


class _Trips:
    """The round trips to both."""

    def __init__(self) -> None:
        self.asker = 0.0
        self.other = 0.0

    async def measure(self, link: Connection) -> None:
        start = trio.current_time()
        try:
            await link.call(Ping(1), timeout=LATEST)
        except P2PacsError:
            return
        self.asker = trio.current_time() - start


def member_of(raw: bytes) -> VirtualAddress:
    """The virtual address in a message.

    Raises:
        MalformedMessageError: none.
    """
    try:
        return VirtualAddress(raw)
    except UsageError as error:
        raise MalformedMessageError("not a virtual address") from error
