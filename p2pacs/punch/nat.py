"""What neighbours see of this host, and what that says of its router. Pure: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum

from attrs import frozen

from p2pacs.ids import VirtualAddress
from p2pacs.punch.addresses import literal
from p2pacs.units import Endpoint


class Nat(IntEnum):
    """How a router treats connections from one port (RFC 5382, 4: mapping)."""

    UNKNOWN = 0
    """Too few neighbours see this host to tell."""
    NONE = 1
    """They see the address that it has."""
    STEADY = 2
    """All see the same address and port (endpoint-independent mapping): it can be punched."""
    SYMMETRIC = 3
    """Each sees another one (address- or port-dependent mapping): nobody can be told of one."""
    MAPPED = 4
    """The router leads an outer port here (PCP, NAT-PMP): whoever is told of it comes in."""


@frozen
class Sight:
    """What a neighbour sees."""

    endpoint: Endpoint
    """Of this host."""
    neighbour: str
    """The neighbour's own network address."""
    trusted: bool
    """Whether it is a broker: of others two must say the same."""


class Sights:
    """What all neighbours see that are linked from the held port."""

    def __init__(self) -> None:
        self._by: dict[VirtualAddress, Sight] = {}

    def heard(self, member: VirtualAddress, seen: str, neighbour: str, *, trusted: bool) -> bool:
        """A neighbour tells what it sees; whether that is news.

        Args:
            member: Which neighbour.
            seen: The endpoint that it sees of this host.
            neighbour: Where it is itself.
            trusted: Whether it is a broker.
        """
        endpoint = literal(seen)
        if endpoint is None:
            return False
        before = self.endpoints
        self._by[member] = Sight(endpoint, neighbour, trusted)
        return self.endpoints != before

    def gone(self, member: VirtualAddress) -> None:
        """A neighbour is linked no more: what it saw may be there no more."""
        self._by.pop(member, None)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where others may find this host: what a broker sees, or two neighbours alike."""
        seen = [sight.endpoint for sight in self._by.values()]
        trusted = [sight.endpoint for sight in self._by.values() if sight.trusted]
        return tuple(sorted({*trusted, *(one for one in seen if seen.count(one) > 1)}, key=str))

    def nat(self, own: Collection[str]) -> Nat:
        """What the router does.

        Args:
            own: Addresses of this host's interfaces.
        """
        sights = list(self._by.values())
        if not sights:
            return Nat.UNKNOWN
        endpoints = {sight.endpoint for sight in sights}
        if all(one.host in own for one in endpoints):
            return Nat.NONE
        if len(endpoints) > 1:
            families = {":" in one.host for one in endpoints}
            return Nat.UNKNOWN if len(families) == len(endpoints) else Nat.SYMMETRIC
        neighbours = {sight.neighbour for sight in sights}
        return Nat.STEADY if len(neighbours) > 1 else Nat.UNKNOWN
