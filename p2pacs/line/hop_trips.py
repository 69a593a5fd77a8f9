"""An uplink's own queue, by round trips to the routers on its way. Pure: no clock, no I/O.

The first router behind the uplink's queue answers without any queue of its own worth the name, so
what its round trips exceed the least seen by is what packets wait in our queue (and in our own
downlink's). Which router that is, shows when the line is used: trips to those in front of the queue
do not grow.

Probes are told apart by the port that they are sent to: routers quote no more than the ports
(RFC 792), and what is told of a port that nothing was sent to is nobody's answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from attrs import define, field, frozen

from p2pacs.line.hop import TUNING, Hop, HopTuning, LeastTrip

FIRST_PORT: Final = 33_434
PORTS: Final = 64
"""Ports of traceroute(8), which networks that let traceroute out let out: so many probes may be
under way, more than are sent in `HopTuning.trip_most`."""


@frozen
class Probe:
    """A packet that is about to be sent."""

    port: int
    """UDP port that it goes to; of an echo its sequence number."""
    ttl: int
    echo: str | None = None
    """Address of the router that is asked by an ICMP echo instead."""


@frozen
class QueueLook:
    """What round trips tell of the queue."""

    delay: float
    """Seconds in it."""
    sent: float
    """When the newest probe was sent that this is known from."""
    base_age: float
    """Seconds since a trip without a queue was seen."""
    sparing: bool = False
    """Whether it is told once a second only."""


@define
class HopTrips:
    """Round trips to the routers of a line, and what they tell of its queue."""

    tuning: HopTuning = TUNING
    first_port: int = 0
    """The number of the port that is used first: who cannot see our packets cannot guess it."""
    may_echo: bool = False
    """Whether this program may send ICMP echoes."""
    found: int | None = None
    """TTL of the first router behind the queue, once it is known."""
    _hops: dict[int, Hop] = field(factory=dict)
    _leasts: dict[int, LeastTrip] = field(factory=dict)
    """By TTL, of the search before."""
    _first: int = 1
    """TTL from which on routers are asked."""
    _reached: int | None = None
    """The TTL at which the member itself answers: behind other queues, too."""
    _echo: Hop | None = None
    _under_way: dict[int, tuple[Hop, float, bool]] = field(factory=dict)
    """Port → whom it asks, when it was sent, whether it already counted as lost."""
    _next: int = 0
    _doubted_until: float = -math.inf
    _begun: float | None = None
    """When the first was asked since the search began."""

    def interval(self, now: float) -> float:
        """Seconds until something is to be sent again, on the average."""
        begun = now if self._begun is None else self._begun
        eager = self.found is None and now - begun < self.tuning.eager_seconds
        return self.tuning.eager_interval if eager else self.tuning.interval

    # ------------------------------------------------------------ asking

    def probes(self, now: float) -> Iterator[Probe]:
        """What is to be sent now; each is taken as sent."""
        self._lose(now)
        if self.found is not None and (self._hop(self.found).missed >= self.tuning.gone):
            self._search_on()
        candidates = self._candidates()
        if not candidates and now - (self._begun or 0.0) > self.tuning.doubt_seconds:
            self.search()
            candidates = self._candidates()
        if self._begun is None:
            self._begun = now
        usual = self.tuning.early * self.interval(now)
        for ttl in candidates:
            hop = self._hop(ttl)
            if self.found == ttl and (echo := self._echoing(hop)) is not None:
                hop, address = echo, hop.address
            else:
                address = None
            if now - hop.asked >= (self.tuning.sparing_pause if hop.sparing else usual):
                yield self._send(hop, ttl, address, now)

    def _candidates(self) -> list[int]:
        if self.found is not None:
            return [self.found]
        most = self.tuning.ttls if self._reached is None else self._reached - 1
        return [ttl for ttl in range(self._first, most + 1) if not self._hop(ttl).silent]

    def _hop(self, ttl: int) -> Hop:
        if ttl not in self._hops:
            self._hops[ttl] = Hop.new(self.tuning)
            if (least := self._leasts.get(ttl)) is not None:
                self._hops[ttl].least = least
        return self._hops[ttl]

    def _echoing(self, hop: Hop) -> Hop | None:
        """Echoes in the place of probes to a router that is sparing."""
        if not (hop.sparing and self.may_echo and hop.address):
            return None
        if self._echo is None:
            self._echo = Hop.new(self.tuning)
            # asked when the queue is there: what was least before is the least of echoes, too
            self._echo.least = hop.least
        refused = self._echo.silent or self._echo.sparing
        return None if refused else self._echo

    def _send(self, hop: Hop, ttl: int, address: str | None, now: float) -> Probe:
        port = FIRST_PORT + (self.first_port + self._next) % PORTS
        self._next += 1
        hop.asked = now
        self._under_way[port] = hop, now, False
        return Probe(port, ttl, address)

    def _lose(self, now: float) -> None:
        for port, (hop, sent, lost) in list(self._under_way.items()):
            if now - sent > self.tuning.trip_most:
                del self._under_way[port]
            elif not lost and now - sent > self.tuning.lost_seconds:
                hop.miss(now)
                self._under_way[port] = hop, sent, True

    def search(self) -> None:
        """Look for the first router behind the queue anew: this may be another line."""
        self.found = self._reached = self._echo = self._begun = None
        self._first = 1
        self._hops.clear()
        self._leasts.clear()
        self._under_way.clear()

    def _search_on(self, first: int = 1) -> None:
        """Look for it anew on the same line, from this TTL on.

        What trips take at the least is kept: a queue that is long now would be taken for none.
        """
        leasts = {ttl: hop.least for ttl, hop in self._hops.items()}
        self.search()
        self._leasts, self._first = leasts, first

    def doubt(self, now: float) -> None:
        """There is a queue that is not told of: say nothing for a while, and search anew then; or
        look behind the router that was found, as that must be in front of it."""
        if self.found is not None and self.found < self.tuning.ttls:
            self._search_on(self.found + 1)
            return
        self._doubted_until = now + self.tuning.doubt_seconds
        self.search()

    # ------------------------------------------------------------ answers

    def answered(self, port: int, address: str, now: float) -> bool:
        """A router told that the probe to this port ended there.

        Args:
            port: As in `Probe.port`.
            address: The router's.
            now: When that came.

        Returns:
            Whether it was an answer to something.
        """
        entry = self._under_way.pop(port, None)
        if entry is None:
            return False
        hop, sent, lost = entry
        if not 0 < now - sent <= self.tuning.trip_most:
            return False
        if lost:
            hop.missed = max(0, hop.missed - 1)
        hop.answer(now - sent, sent, address, now)
        if self.found is None:
            self._find(now)
        return True

    def reached(self, port: int) -> None:
        """The probe to this port came to the member that it was sent to."""
        entry = self._under_way.pop(port, None)
        ttl = next((ttl for ttl, hop in self._hops.items() if entry and hop is entry[0]), None)
        if ttl is not None and (self._reached is None or ttl < self._reached):
            self._reached = ttl

    def _find(self, now: float) -> None:
        """The first router whose trips grow as much as any."""
        grown = {ttl: hop.excess(now) for ttl, hop in self._hops.items()}
        seen = {ttl: one for ttl, one in sorted(grown.items()) if one is not None}
        most = max(seen.values(), default=0.0)
        if most >= self.tuning.found_queue:
            self.found = next(ttl for ttl, one in seen.items() if one >= self.tuning.behind * most)

    # ------------------------------------------------------------ what they tell

    def look(self, now: float) -> QueueLook | None:
        """The queue now; None while no router tells of it.

        Before it is known which router is behind the queue, the longest delay counts.
        """
        if now < self._doubted_until:
            return None
        hops = self._hops.values() if self.found is None else self._told_by(self.found, now)
        looks = [
            QueueLook(
                max(delay, self._overdue(hop, now)),
                hop.sent,
                now - hop.least.seen_at,
                hop.sparing,
            )
            for hop in hops
            if (delay := hop.excess(now)) is not None
        ]
        return max(looks, key=lambda look: look.delay, default=None)

    def _overdue(self, hop: Hop, now: float) -> float:
        """Seconds that a queue lasts at least: answers that should be here are not.

        One that is lost tells nothing, so two must be; a router that is sparing loses many.
        """
        if hop.sparing or len(hop.judged) < hop.tuning.window or not all(hop.judged):
            return 0.0
        waiting = [sent for one, sent, _ in self._under_way.values() if one is hop]
        late = sorted(sent for sent in waiting if sent > hop.sent)
        return now - late[1] - hop.least.value if len(late) > 1 else 0.0

    def _told_by(self, ttl: int, now: float) -> list[Hop]:
        echo = self._echo
        told = echo is not None and echo.excess(now) is not None
        return [echo] if told and echo is not None else [self._hop(ttl)]
