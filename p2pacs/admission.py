"""Who may come in: places for connections whose other end is not a linked member (yet). Pure.

A connection holds a place from the moment it is accepted until it is a member's link, or closed:
over its handshake, an enrolment, the words that refuse it. Known sources (members came from there
before, or the directory names them) have places of their own, which strangers cannot take.

When all places are taken, the connection that has held one for longest, of the source that holds
most, gives way to the newcomer: who opens many and says nothing loses them first. One that came
less than `AdmissionTuning.grace` ago is never turned out, so that many members who dial at once
(the broker was restarted) do not end each other's handshakes; then the newcomer is refused, and
tries again.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from attrs import define, frozen

from p2pacs import limits
from p2pacs.errors import BusyError

_IPV6_NETWORK: Final = 64
"""Bits of an IPv6 address that name a line (RFC 6177): its host has all addresses behind them."""


@frozen
class AdmissionTuning:
    """How many connections may hold a place."""

    strangers: int = limits.STRANGERS
    strangers_of_one: int = limits.STRANGERS_OF_ONE
    known: int = limits.KNOWN_CALLERS
    known_of_one: int = limits.KNOWN_CALLERS_OF_ONE
    remembered: int = 1024
    """Sources that members came from: as many as a network has members."""
    grace: float = 1.0
    """Seconds in which a place is safe: a handshake over an idle slow line takes 0.2 s."""


@define(eq=False)
class Visit:
    """One connection that holds a place."""

    source: str
    known: bool
    since: float
    turn_out: Callable[[], object]
    """Ends the connection."""


def source_of(address: str) -> str:
    """What stands for one line: an IPv4 address, or the network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_NETWORK), strict=False))


class Admission:
    """The places of one host."""

    def __init__(self, tuning: AdmissionTuning | None = None) -> None:
        self._tuning = tuning or AdmissionTuning()
        self._visits: dict[Visit, None] = {}
        self._came: OrderedDict[str, None] = OrderedDict()
        self._listed: frozenset[str] = frozenset()
        self.turned_away = 0
        """Connections that were refused or had to give way."""

    def __len__(self) -> int:
        return len(self._visits)

    def list_hosts(self, hosts: Iterable[str]) -> None:
        """These hosts are members' (the directory's endpoints); names among them mean nothing."""
        self._listed = frozenset(map(source_of, hosts))

    def member_came(self, address: str) -> None:
        """A member proved who it is from this address."""
        source = source_of(address)
        self._came[source] = None
        self._came.move_to_end(source)
        if len(self._came) > self._tuning.remembered:
            self._came.popitem(last=False)

    @contextmanager
    def place(self, address: str, now: float, turn_out: Callable[[], object]) -> Iterator[None]:
        """Hold a place; whoever has to give way for it is turned out.

        Args:
            address: where the connection came from.
            now: seconds of a clock that does not go back.
            turn_out: ends this connection, should it have to give way later.

        Raises:
            BusyError: all places are taken.
        """
        source = source_of(address)
        known = source in self._came or source in self._listed
        visit = Visit(source, known, now, turn_out)
        self._make_way(visit)
        self._visits[visit] = None
        try:
            yield
        finally:
            self._visits.pop(visit, None)

    def _make_way(self, visit: Visit) -> None:
        loser = self._loser(visit)
        if loser is None:
            return
        self.turned_away += 1
        if visit.since - loser.since < self._tuning.grace:
            raise BusyError(f"too many connections at once: {visit.source} is not let in")
        del self._visits[loser]
        loser.turn_out()

    def _loser(self, visit: Visit) -> Visit | None:
        """Who would have to give way; None while there is room. Visits stand in order of age."""
        tuning = self._tuning
        most = tuning.known if visit.known else tuning.strangers
        of_one = tuning.known_of_one if visit.known else tuning.strangers_of_one
        same_kind = [one for one in self._visits if one.known == visit.known]
        same_source = [one for one in same_kind if one.source == visit.source]
        if len(same_source) >= of_one:
            return same_source[0]
        if len(same_kind) < most:
            return None
        held = Counter(one.source for one in same_kind)
        return max(same_kind, key=lambda one: held[one.source])  # the first, thus oldest, of those
