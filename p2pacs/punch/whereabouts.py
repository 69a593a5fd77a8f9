"""Where this host is: what its interfaces, its neighbours and its router say."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import trio
from attrs import frozen

from p2pacs.identity.directory import MemberRecord
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import CANDIDATES
from p2pacs.mesh.interfaces import Members
from p2pacs.mesh.mesh import Mesh
from p2pacs.own_interfaces import interfaces
from p2pacs.punch.addresses import Surroundings
from p2pacs.punch.nat import Nat, Sights
from p2pacs.punch.offers import MeetingOffer
from p2pacs.units import Endpoint, IPNetwork
from p2pacs.wire.messages.messages import Seen


class Mapped(Protocol):
    """What the router does for a port (`p2pacs.mapping.mapped_port.PortMapping`)."""

    @property
    def outer(self) -> Endpoint | None:
        """What others may dial now; None: the router leads nobody here."""


Mapping = Callable[[int], AbstractAsyncContextManager[Mapped]]
"""Has the router map a local port for as long as the block takes."""

NANOSECONDS: Final = 1_000_000
"""In a millisecond."""


@frozen
class Position:
    """How this host can be reached, as far as is known."""

    nat: Nat
    outer: tuple[str, ...]
    """Endpoints at which neighbours see it."""
    mapped: str | None
    """The endpoint that its router maps to it."""
    holds_port: bool
    """Whether this machine can hold a port for several connections."""


class Whereabouts:
    """All that is offered, and what is compared with the offers of others."""

    def __init__(
        self,
        me: VirtualAddress,
        members: Members,
        mesh: Mesh,
        port: int | None,
        lan: tuple[IPNetwork, ...],
    ) -> None:
        """Nobody has said anything yet.

        Args:
            me: This member.
            members: The directory.
            mesh: The links.
            port: The held port; None: there is none.
            lan: What the settings call the local network.
        """
        self._me = me
        self._members = members
        self._mesh = mesh
        self._port = port
        self._lan = lan
        self._sights = Sights()
        self._mapping: Mapped | None = None
        self._inside = trio.Event()
        self._last = 0

    @property
    def position(self) -> Position:
        """What this host tells of itself."""
        return Position(
            self._nat(),
            tuple(map(str, self._sights.endpoints)),
            None if self._mapped is None else str(self._mapped),
            self._port is not None,
        )

    @property
    def _mapped(self) -> Endpoint | None:
        return None if self._mapping is None else self._mapping.outer

    def _nat(self) -> Nat:
        if self._mapped is not None:
            return Nat.MAPPED
        return self._sights.nat([str(one.ip) for one in interfaces()])

    async def keep_mapped(self, mapping: Mapping) -> None:
        """Have the router map the held port, until cancelled; no router is asked before a neighbour
        sees this host at an address that it does not have."""
        await self._inside.wait()
        if self._port is not None:
            async with mapping(self._port) as self._mapping:
                await trio.sleep_forever()

    def seen(self, member: VirtualAddress, message: Seen) -> bool:
        """A neighbour tells where it sees this host; whether it is seen elsewhere than before."""
        link = self._mesh.links.get(member)
        if link is None or link.peer is None or link.lan or link.local_port != self._port:
            return False  # another port would be mapped to another one
        trusted = member in self._mesh.brokers
        is_news = self._sights.heard(member, message.endpoint, link.peer.host, trusted=trusted)
        own = {str(one.ip) for one in interfaces()}
        if any(one.host not in own for one in self._sights.endpoints):
            self._inside.set()
        return is_news

    def unlinked(self, member: VirtualAddress) -> None:
        """What a member saw counts no more."""
        self._sights.gone(member)

    def surroundings(self, other: MemberRecord) -> Surroundings:
        """What an offer of this member is compared with."""
        found = interfaces()
        networks = [one.network for one in found if one.network.num_addresses > 1]
        members = (
            Endpoint.parse(text).host
            for record in self._members.directory.members
            if record.address != other.address
            for text in record.endpoints
        )
        own = frozenset(str(one.ip) for one in found)
        return Surroundings(own, (*networks, *self._lan), frozenset(members))

    def offer(self, receiver: VirtualAddress, study: StudyId, answers: bytes = b"") -> MeetingOffer:
        """Where this host may be found, for one other member."""
        own = [Endpoint(str(one.ip), self._port or 0) for one in interfaces()]
        mapped = [] if self._mapped is None else [self._mapped]
        known = dict.fromkeys(map(str, [*self._sights.endpoints, *mapped, *own]))
        self._last = max(self._last + 1, time.time_ns() // NANOSECONDS)
        endpoints = tuple(known)[:CANDIDATES]
        return MeetingOffer(self._me, receiver, study, self._last, self._nat(), endpoints, answers)
