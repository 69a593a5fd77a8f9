"""Whether the clocks of a member and the broker agree, and whether the member can be dialled.

A member asks it of the broker, which dials back the addresses that the member's own entry in the
signed directory names, and no others: whoever asks cannot have it dial a stranger. Only a handshake
in which the member shows its own certificate counts, so the answer says of what else listens there
neither whether nor what. Of each member one trial at a time is made, and a fresh one once a minute
at most.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import trio
from attrs import field, frozen

from broker.database.db import now
from broker.handlers.interfaces import Directories
from broker.members.member_reach import MemberReach
from p2pacs.errors import BusyError, P2PacsError
from p2pacs.identity.directory import MemberRecord
from p2pacs.identity.node import NodeIdentity
from p2pacs.ids import VirtualAddress
from p2pacs.limits import ENDPOINTS
from p2pacs.units import Endpoint
from p2pacs.wire.channel import channel
from p2pacs.wire.messages.messages import Reach, ReachQuery

DIAL: Final = 8.0
"""Seconds for a handshake: on a slow line with a busy one at its end."""

FRESH: Final = 60.0
"""Seconds for which a trial is told again instead of being made anew."""

AT_ONCE: Final = 4
"""Members that are dialled at once; others hear that the broker is busy."""

Dial = Callable[[str, MemberRecord], Awaitable[bool]]
"""Whether a member answers at one of its addresses, with its own certificate."""


@frozen
class MemberTrials:
    """The trials of all members, the last of each."""

    book: Directories
    dial: Dial
    last: dict[VirtualAddress, MemberReach] = field(factory=dict)
    """Members that are no more stay until the broker's end: there are few."""
    _under_way: set[VirtualAddress] = field(factory=set)

    @property
    def known(self) -> Mapping[VirtualAddress, MemberReach]:
        """What was found last, by member."""
        return self.last

    async def answer(self, member: VirtualAddress, query: ReachQuery) -> Reach:
        """The broker's time, and at which of its addresses the member was reached.

        Raises:
            BusyError: a trial of this member, or of many others, is under way.
        """
        found = self.last.get(member)
        if found is None or trio.current_time() - found.at > FRESH:
            if member in self._under_way or len(self._under_way) >= AT_ONCE:
                raise BusyError("too many members are being dialled: ask again in a minute")
            self._under_way.add(member)
            try:
                found = await self._tried(member, query.time)
            finally:
                self._under_way.discard(member)
            self.last[member] = found
        return Reach(query.id, now(), list(found.reached), list(found.missed))

    async def _tried(self, member: VirtualAddress, said: int) -> MemberReach:
        clock = (said - now()) / 1000
        record = self.book.directory.get(member)
        endpoints = () if record is None else record.endpoints[:ENDPOINTS]
        answers: dict[str, bool] = {}

        async def try_one(text: str, record: MemberRecord) -> None:
            answers[text] = await self.dial(text, record)

        if record is not None:
            async with trio.open_nursery() as nursery:
                for text in endpoints:
                    nursery.start_soon(try_one, text, record)
        return MemberReach(
            trio.current_time(),
            clock,
            tuple(one for one in endpoints if answers[one]),
            tuple(one for one in endpoints if not answers[one]),
        )


def dial_back(identity: NodeIdentity, book: Directories) -> Dial:
    """Dials members over TLS as the broker."""

    async def dial(text: str, member: MemberRecord) -> bool:
        with trio.move_on_after(DIAL):
            try:
                stream, remote = await channel.connect(
                    Endpoint.parse(text), identity, member.address
                )
                with trio.CancelScope(shield=True):
                    await trio.aclose_forcefully(stream)
                book.directory.check(remote)
            except P2PacsError:
                return False
            return True
        return False

    return dial
