"""One router on a line's way: what its round trips were, and how willingly it answers. Pure."""

from __future__ import annotations

import math
import statistics
from collections import deque
from typing import Final

from attrs import define, frozen

FALLEN: Final = 0.02
"""Seconds by which the newest trip may be shorter than the median before it counts instead: a trip
may be late for many a reason, but none is too short, and a queue that drained is seen at once."""


@frozen
class HopTuning:
    """What `HopTrips` goes by."""

    ttls: int = 6
    """So many routers are tried: a hospital has up to three in front of its line."""
    interval: float = 0.2
    """Seconds between two probes of a router, on the average ..."""
    eager_interval: float = 0.1
    eager_seconds: float = 4.0
    """... and while routers are looked for at first, when the rate grows fast ..."""
    early: float = 0.7
    """... and this part of that at least (the caller comes a quarter earlier or later) ..."""
    sparing_pause: float = 1.05
    sparing_seconds: float = 60.0
    """... where it tells no more than one a second, as Linux does. That is believed so long: it may
    have been a bad moment."""
    trip_most: float = 3.0
    """Seconds that an answer may take; what takes longer is lost."""
    lost_seconds: float = 1.0
    """What is not answered by then counts as not answered."""
    judged: int = 10
    """Of so many probes it is seen whether a router is sparing ..."""
    answered_part: float = 0.5
    """... as it answers less than this part of them."""
    silent: int = 4
    """So many unanswered, and none answered: this router says nothing."""
    gone: int = 8
    """So many unanswered in a row: the router that was found is looked for anew."""
    window: int = 3
    """The median of so many trips counts: one late answer is none of the queue's."""
    fresh_seconds: float = 1.0
    sparing_fresh_seconds: float = 3.5
    """What was seen longer ago says nothing of now."""
    base_seconds: float = 60.0
    """The least trip of the last one or two such times is one without a queue."""
    near: float = 0.006
    """A trip that exceeds the least by no more has shown it again."""
    found_queue: float = 0.025
    """Seconds that a queue must last to tell a router behind it from those in front."""
    behind: float = 0.5
    """The first whose trips exceed the least by this part of what the most do is behind it."""
    doubt_seconds: float = 60.0
    """Nothing is believed for so long once it was shown to be wrong; and where nobody answered, all
    are tried again after it."""


TUNING: Final = HopTuning()
"""What is used unless a test hands in another."""


class LeastTrip:
    """The least of the last one or two windows."""

    __slots__ = ("_before", "_least", "_seconds", "_since", "seen_at")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._least = self._before = math.inf
        self._since = self.seen_at = -math.inf

    @property
    def value(self) -> float:
        """Seconds; infinite while nothing was seen."""
        return min(self._least, self._before)

    def add(self, trip: float, now: float, near: float) -> None:
        """A trip took so long; one that exceeds the least by ``near`` at most shows it again."""
        if now - self._since > self._seconds:
            self._before, self._least, self._since = self._least, math.inf, now
        self._least = min(self._least, trip)
        if trip <= self.value + near:
            self.seen_at = now


@define
class Hop:
    """The router at one TTL, or its echoes."""

    tuning: HopTuning
    least: LeastTrip
    trips: deque[float]
    judged: deque[bool]
    sent: float = -math.inf
    """When the newest probe was sent that it answered."""
    asked: float = -math.inf
    """When it was asked last."""
    answers: int = 0
    missed: int = 0
    """Probes in a row that it did not answer."""
    sparing: bool = False
    _sparing_since: float = 0.0
    address: str = ""
    """Who answered last."""

    @classmethod
    def new(cls, tuning: HopTuning) -> Hop:
        """One that was never asked."""
        window: deque[float] = deque(maxlen=tuning.window)
        return cls(tuning, LeastTrip(tuning.base_seconds), window, deque(maxlen=tuning.judged))

    def answer(self, trip: float, sent: float, address: str, now: float) -> None:
        """It answered."""
        self.least.add(trip, now, self.tuning.near)
        if sent >= self.sent:  # answers may overtake each other
            self.sent = sent
            self.trips.append(trip)
        self.answers += 1
        self.missed, self.address = 0, address
        self._judge(now, answered=True)

    def miss(self, now: float) -> None:
        """It did not answer."""
        self.missed += 1
        self._judge(now, answered=False)

    def _judge(self, now: float, *, answered: bool) -> None:
        tuning = self.tuning
        if self.sparing and now - self._sparing_since > tuning.sparing_seconds:
            self.sparing = False
            self.judged.clear()
        self.judged.append(answered)
        if not self.sparing and len(self.judged) == tuning.judged:
            self.sparing = sum(self.judged) < tuning.answered_part * len(self.judged)
            self._sparing_since = now

    @property
    def silent(self) -> bool:
        """Whether it never says anything."""
        return not self.answers and self.missed >= self.tuning.silent

    def excess(self, now: float) -> float | None:
        """Seconds by which its trips exceed the least; None while too little is known."""
        fresh = self.tuning.sparing_fresh_seconds if self.sparing else self.tuning.fresh_seconds
        enough = 1 if self.sparing else 2
        if now - self.sent > fresh or len(self.trips) < enough:
            return None
        newest = self.trips[-1]
        # three of a sparing one would take 3 s; and no trip is too short
        trip = newest if self.sparing else min(statistics.median(self.trips), newest + FALLEN)
        return max(0.0, trip - self.least.value)
