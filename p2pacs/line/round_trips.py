"""Rate control of an uplink by round trips over it: where no router tells of its queue. Pure.

The rate climbs slowly until round trips say that a queue has begun to form, goes back to what
the line carried and lets the queue drain, and climbs again. So the line is full but for a
moment every few seconds, a queue never gets long, and the drained moments show what a round
trip takes without a queue, whatever delays of acknowledgements are part of it.
"""

from __future__ import annotations

import math
from enum import Enum, auto
from typing import Final

from attrs import frozen

from p2pacs.line.delivered import DeliveredRate


@frozen
class RoundTripTuning:
    """What `RoundTripController` goes by."""

    start: float = 32_000.0
    """Bytes a second to begin with: 256 kbit/s, which hardly any line lacks."""
    least: float = 4_000.0
    most: float = 125_000_000.0
    """Bytes a second: 32 kbit/s and 1 Gbit/s."""
    target: float = 0.025
    """Seconds in the queue that show that the line is full; the longest is about twice that."""
    long_queue: float = 0.08
    """Seconds in the queue that a slow climb cannot make: the line has changed, or others use
    it."""
    start_step: float = 0.4
    start_factor: float = 1.25
    """At the start the rate grows this much in each step of so many seconds: tenfold in four."""
    blind_seconds: float = 3.0
    blind_part: float = 0.5
    """Where acknowledgements are too few to tell, it grows when this part arrives for so long."""
    kept_up: float = 0.8
    """A line that delivers less than this part of what it is given has changed."""
    climb: float = 0.005
    climb_most: float = 0.2
    """Growth a second after a queue was drained, and at most ..."""
    climb_doubles: float = 3.0
    """... doubled after each so many seconds without a queue."""
    climb_known: float = 0.05
    """At least so much growth while the rate is below what the line carried before ..."""
    known_part: float = 0.8
    """... by more than this part."""
    back: float = 0.975
    """To this part of the rate when a climb found the line full."""
    drain: float = 0.75
    drain_long: float = 0.5
    """Part of the rate while a queue drains; of a long one."""
    drain_seconds: float = 1.5
    """The drain takes at most this long."""
    back_long: float = 0.9
    """To this part of what arrived, when the queue got long: some of that arrived before."""
    settling: float = 0.5
    settling_bytes: int = 20_000
    """After a drain, acknowledgements still tell of the queue for so long, and so many bytes."""
    falling: float = 0.8
    """A queue that has shrunk to this part since the last look is on its way out."""
    noise: float = 0.06
    """No more than this, after a drain, is none of ours and nobody's to whom to yield:
    acknowledgements wait behind what the other ends send themselves (20 to 40 ms in a swarm) ..."""
    left: float = 0.8
    """... if it is this part of what there was before ..."""
    noise_fades: float = 0.05
    """... and of that, so much a second is forgotten when less is seen."""
    again: float = 0.95
    """To this part of the rate when one drain was not enough."""
    yield_part: float = 0.7
    """The queue is there although we drained ours: others fill it, and get room."""
    share: float = 0.25
    """Of what the line once carried, this much is kept beside others who never yield."""
    forget: float = 0.9
    """What the line once carried counts so much less each time it does not carry even that."""
    delivered_seconds: float = 0.8
    """The last part of what was delivered, long enough for delayed acknowledgements to even out."""


TUNING: Final = RoundTripTuning()
"""What is used unless a test hands in another."""


@frozen
class Sample:
    """What the kernel's counters told since the last sample."""

    delivered: float
    """Wire bytes that arrived at the other ends."""
    delay: float | None
    """Seconds in the uplink's queue: the least over the connections; None if none tells."""
    limited: bool
    """Whether somebody waited for the budget."""
    farthest: float | None = None
    """The longest of the least round trips of the connections; None if none tells."""


class Phase(Enum):
    """State of an `RoundTripController`."""

    START = auto()
    CLIMB = auto()
    DRAIN = auto()


class RoundTripController:
    """Delay-based controller that finds out what an uplink carries, while it is used."""

    def __init__(self, now: float, tuning: RoundTripTuning = TUNING) -> None:
        """An uplink of which nothing is known.

        Args:
            now: The present.
            tuning: What it goes by.
        """
        self._tuning = tuning
        self.rate = self._tuning.start
        """Bytes a second that may be sent now."""
        self.phase = Phase.START
        self._level = self._tuning.start
        self.known = 0.0
        self._delivered = DeliveredRate(now, tuning.delivered_seconds)
        self._at = now
        self._quiet_since = now
        self._next_step = now + 2 * self._tuning.start_step
        self._stepped = (now, 0.0)
        """When the rate grew last at the start, and what had been delivered until then."""
        self._until = now
        self._stands: float | None = None
        """The delay when the queue was last drained, until there is none."""
        self._drains = 0
        self._last_delay: float | None = None
        self._noise = 0.0
        """Seconds of the delay that a drain did not end."""
        self._before_drain = (0.0, self._tuning.start, now)
        """The delay, the rate, and since when there was no queue."""

    def update(self, sample: Sample, now: float) -> float:
        """The rate from now on, in bytes a second."""
        tuning = self._tuning
        passed = max(0.0, now - self._at)
        self._at = now
        carried = self._delivered.add(sample.delivered, now)
        delay = self._twice(sample.delay)
        if not sample.limited:  # what is not used says nothing of the line
            self._quiet_since = self._next_step = now
            self._next_step += 2 * tuning.start_step
            self._stepped = (now, self._delivered.total)
            passed = 0.0
        if self.phase is Phase.DRAIN:
            self._drain(now)
        elif self.phase is Phase.START:
            self._start(delay, carried, now)
        elif sample.limited and now >= self._until:
            self._climb(delay, carried, passed, now)
        self._level = min(tuning.most, max(tuning.least, self._level))
        if self.phase is not Phase.DRAIN:
            self.rate = self._level
        return self.rate

    def _twice(self, delay: float | None) -> float | None:
        """The delay, if two looks agree on it."""
        last, self._last_delay = self._last_delay, delay
        return delay if delay is None or last is None else min(delay, last)

    def _start(self, delay: float | None, carried: float, now: float) -> None:
        tuning = self._tuning
        if delay is not None and delay > tuning.target:
            self._full(delay, min(carried, self._level), now)
            return
        arrived = self._delivered.total - self._stepped[1]
        blind = now - self._stepped[0]
        if delay is None:
            step = (
                blind >= tuning.blind_seconds and arrived >= tuning.blind_part * self._level * blind
            )
        else:
            step = now >= self._next_step
        if step:
            self._level *= tuning.start_factor
            self._next_step = now + tuning.start_step
            self._stepped = (now, self._delivered.total)

    def _climb(self, delay: float | None, carried: float, passed: float, now: float) -> None:
        tuning = self._tuning
        if delay is not None:
            self._noise -= max(0.0, self._noise - delay) * min(1.0, tuning.noise_fades * passed)
        if delay is not None and self._drains == 1 and self._in_vain(delay):
            return
        if delay is None or delay <= self._noise + tuning.target:
            if delay is not None:
                self._stands, self._drains = None, 0
            quiet = (now - self._quiet_since) / tuning.climb_doubles
            growth = min(tuning.climb_most, tuning.climb * 2 ** min(quiet, 10.0))
            if self._level < tuning.known_part * self.known:
                growth = max(growth, tuning.climb_known)
            self._level *= 1 + growth * passed
        elif self._stands is None:
            self._before_drain = delay, self._level, self._quiet_since
            short = max(min(carried, tuning.back * self._level), 0.9 * self._level)
            self._full(
                delay,
                short if delay <= tuning.long_queue else tuning.back_long * carried,
                now,
            )
        elif delay <= tuning.falling * self._stands:
            self._stands = delay
            self._until = now + self._settling
        elif self._drains == 1:  # the first time the queue was longer than it was known to be
            self._full(delay, tuning.again * self._level, now)
        else:
            self._yield(delay, carried, now)

    def _in_vain(self, delay: float) -> bool:
        """Whether a drain left the delay as it was; then all is as before it."""
        before, level, quiet_since = self._before_drain
        if not self._tuning.left * before < delay <= self._tuning.noise:
            return False
        self._noise, self._level, self._quiet_since = delay, max(self._level, level), quiet_since
        self._stands, self._drains = None, 0
        return True

    def _yield(self, delay: float, carried: float, now: float) -> None:
        """Our queue should have been drained, and is there still."""
        tuning = self._tuning
        floor = tuning.share * self.known
        if self._level <= floor and carried < tuning.kept_up * self._level:
            self.known *= tuning.forget
        self._full(delay, max(floor, tuning.yield_part * self._level), now)

    @property
    def _settling(self) -> float:
        return self._tuning.settling + self._tuning.settling_bytes / self._level

    def _full(self, delay: float, level: float, now: float) -> None:
        """A queue has formed: let it drain, and go on at this level."""
        tuning = self._tuning
        if self._stands is None:
            self.known = max(level, self.known * tuning.forget)
            self._stands = math.inf  # the next look is the first that can tell
        else:
            self._stands = delay
        self._drains += 1
        self.phase = Phase.DRAIN
        self._level = min(tuning.most, max(tuning.least, level))
        part = tuning.drain if delay <= tuning.long_queue else tuning.drain_long
        self.rate = max(tuning.least, self._level * part)
        self._until = now + min(tuning.drain_seconds, delay / (1 - part))

    def _drain(self, now: float) -> None:
        if now >= self._until:
            self.phase = Phase.CLIMB
            self._until = now + self._settling
            self._quiet_since = now
