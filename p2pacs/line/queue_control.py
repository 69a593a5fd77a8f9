"""Rate control of an uplink whose queue is seen. Pure: no clock, no I/O.

A queue of 45 ms keeps the line full and hardly disturbs others, so the rate is that with which it
lasts so long: a controller with a proportional part (what is too much drains within a second) and
an integral one (what the line carries). The queue is our own and others' alike: what others send
is yielded to. Prototype and figures: docs/swarm.md, "The line".
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from attrs import frozen

from p2pacs.line.delivered import DeliveredRate
from p2pacs.line.hop_trips import QueueLook

PACKET_BYTES: Final = 1500
"""Of a full packet on Ethernet."""


@frozen
class QueueTuning:
    """What `QueueController` goes by."""

    start: float = 48_000.0
    """Bytes a second to begin with: 384 kbit/s, which hardly any line lacks."""
    least: float = 4_000.0
    most: float = 125_000_000.0
    """Bytes a second: 32 kbit/s and 1 Gbit/s."""
    target: float = 0.045
    """Seconds in the queue. (25 ms with half the gain left lines idle: 1.18 times the limit with
    four hospitals instead of 1.11.)"""
    target_packets: float = 2.0
    """... and on a slow line so many packets at least: one that is being sent is no queue."""
    gain: float = 2.5
    least_part: float = 0.5
    most_part: float = 1.1
    """The rate differs from what the line carries by this, a second of queue, and at most so."""
    growth: float = 2.0
    growth_least: float = -0.2
    growth_most: float = 0.1
    """What the line is believed to carry grows by so much a second, a second of queue."""
    step_seconds: float = 0.3
    step_factor: float = 1.4
    fast: float = 500_000.0
    fast_factor: float = 2.0
    full: float = 0.9
    back: float = 0.72
    """At the start it grows by this factor in each step (by the second above 4 Mbit/s: there are
    lines of a gigabit) until the queue is nearly as long as it should be (this part); then it is
    what arrived, at least this part of what it was: a step back, and some of what arrived did so
    while the line was not full."""
    no_queue: float = 0.01
    no_packets: float = 1.1
    quickens: float = 0.4
    quick_most: float = 0.65
    """Where there is none (no more seconds or packets than these) although somebody waits, growth
    quickens: with the square of such times,
    up to so much a second. Others have stopped, or the line has become faster ..."""
    quick: float = 2.0
    """... and once it was so many times the usual, it ends like the start."""
    learns: float = 0.5
    """So much a second of what arrives while the queue is as it should be becomes known."""
    long_queue: float = 0.12
    long_packets: float = 5.0
    """No noise makes such a queue: no more is believed than arrives ..."""
    falling: float = 0.95
    """... until it is this part of what it was: then the rate is low enough, and what arrives is
    soon less than the line carries."""
    share: float = 0.25
    """Of what the line carried alone so much is kept beside others who never yield ..."""
    kept_up: float = 0.55
    forget: float = 0.1
    """... unless less than this part of it arrives: then the line is slower, and so much of what it
    carried is forgotten in a second."""
    sparing: float = 0.3
    """Part of both gains where the queue is told of once a second: what is seen so late must be
    answered gently, or the queue swings between none and all."""
    carried_most: float = 3.0
    """No more than so many times what arrives: the queue may be somewhere else."""
    delivered_seconds: float = 0.8
    """Delays of acknowledgements even out over such a time."""
    base_age: float = 45.0
    drain_part: float = 0.6
    drain_seconds: float = 0.6
    """If no trip without a queue was seen for so long, the line is used less until one is, or for
    so long: else the least trip would be forgotten, and a queue taken for none. The queue lasts
    longer than most of that, so it costs the line next to nothing."""


TUNING: Final = QueueTuning()
"""What is used unless a test hands in another."""


class QueuePhase(Enum):
    """State of a `QueueController`."""

    START = auto()
    HOLD = auto()
    DRAIN = auto()


class QueueController:
    """Holds an uplink's queue at a length at which the line is full."""

    def __init__(
        self, now: float, start: float | None = None, tuning: QueueTuning = TUNING
    ) -> None:
        """A line that is not known yet.

        Args:
            now: The present.
            start: Bytes a second to begin with; None: as the tuning says.
            tuning: What it goes by.
        """
        self._tuning = tuning
        self.phase = QueuePhase.START
        self.base = self._bounded(start or tuning.start)
        """What the line is believed to carry, in bytes a second."""
        self.rate = self.base
        """Bytes a second that may be sent now."""
        self.known = 0.0
        """What it carried when the queue was as long as it should be; 0 while that is unknown."""
        self._delivered = DeliveredRate(now, tuning.delivered_seconds)
        self._at = now
        self._begun = self._stepped = now
        self._limited_since = now
        self._quiet_since = now
        self._drained_at = now
        self._longest = 0.0
        """What a long queue lasted when it was looked at last, until it falls; 0 if it is short."""
        self._quick = False
        """Whether growth has quickened since the line was full."""

    def _bounded(self, rate: float) -> float:
        return min(self._tuning.most, max(self._tuning.least, rate))

    def update(self, delivered: float, look: QueueLook, *, limited: bool, now: float) -> float:
        """The rate from now on, in bytes a second.

        Args:
            delivered: Wire bytes that arrived at the other ends since the last call.
            look: What is known of the queue.
            limited: Whether somebody waited for the budget.
            now: The present.
        """
        passed = min(1.0, max(0.0, now - self._at))
        self._at = now
        carried = self._delivered.add(delivered, now)
        if not limited:  # what is not used says nothing of the line
            self._quiet_since = self._stepped = self._limited_since = now
        if self.phase is QueuePhase.START:
            self._start(look, carried, now)
        elif limited:
            base = self._hold(look, carried, passed, now)
            floor = self._tuning.share * self.known
            self.base = max(floor, min(base, self._credible(carried, now)))
        self._drain(look, now, limited=limited)
        self.base = self._bounded(self.base)
        self.rate = self._bounded(self._allowed(look))
        return self.rate

    def _start(self, look: QueueLook, carried: float, now: float) -> None:
        tuning = self._tuning
        if look.delay > tuning.full * self._target and now - self._begun >= tuning.step_seconds:
            self.base = self._back_to(carried)
            self.phase = QueuePhase.HOLD
            self._quiet_since = now
        # a look that was on its way before the last step tells nothing of it
        elif now - self._stepped >= tuning.step_seconds and look.sent > self._stepped:
            self._stepped = now
            factor = tuning.step_factor if self.base < tuning.fast else tuning.fast_factor
            self.base = min(self.base * factor, self._credible(carried, now))

    def _back_to(self, carried: float) -> float:
        """What is believed once growth has found the line full."""
        return max(min(carried, self.base), self._tuning.back * self.base)

    def _credible(self, carried: float, now: float) -> float:
        """The most that may be believed; the present belief while too little is known."""
        if now - self._limited_since < self._tuning.delivered_seconds:
            return self._tuning.most
        return max(self.base, self._tuning.carried_most * carried)

    @property
    def _packet(self) -> float:
        """Seconds that a full packet takes."""
        return PACKET_BYTES / self.base

    @property
    def _target(self) -> float:
        """Seconds that the queue should last."""
        return max(self._tuning.target, self._tuning.target_packets * self._packet)

    def _hold(self, look: QueueLook, carried: float, passed: float, now: float) -> float:
        """What the line is believed to carry now."""
        tuning = self._tuning
        error = self._error(look)
        no_queue = max(tuning.no_queue, tuning.no_packets * self._packet)
        if look.delay > no_queue or self.phase is QueuePhase.DRAIN:
            self._quiet_since = now
        growth = min(tuning.growth_most, max(tuning.growth_least, tuning.growth * error))
        if growth > 0:
            quickens = tuning.quickens / (tuning.sparing if look.sparing else 1.0)
            quiet = 1 + ((now - self._quiet_since) / quickens) ** 2
            growth = min(tuning.quick_most, growth * quiet)
            self._quick = self._quick or quiet > tuning.quick
        base = self.base * (1 + growth * passed)
        if self._quick and look.delay > tuning.full * self._target:
            base, self._quick = self._back_to(carried), False
        if look.delay > max(tuning.long_queue, tuning.long_packets * self._packet):
            falls = look.delay < tuning.falling * self._longest
            self._longest = look.delay
            if falls:
                return self.base
            self._forget(base, carried, passed)
            return min(base, carried)
        self._longest = 0.0
        if look.delay > no_queue:
            self.known += min(1.0, tuning.learns * passed) * (min(base, carried) - self.known)
        return base

    def _forget(self, base: float, carried: float, passed: float) -> None:
        """A line that does not even carry what is kept beside others has become slower."""
        tuning = self._tuning
        if base <= tuning.share * self.known and carried < tuning.kept_up * self.rate:
            self.known *= 1 - tuning.forget * passed

    def _drain(self, look: QueueLook, now: float, *, limited: bool) -> None:
        tuning = self._tuning
        if self.phase is QueuePhase.DRAIN:
            if look.base_age < now - self._drained_at or (
                now - self._drained_at > tuning.drain_seconds
            ):
                self.phase = QueuePhase.HOLD
        elif (
            self.phase is QueuePhase.HOLD
            and limited
            and min(look.base_age, now - self._drained_at) > tuning.base_age
        ):
            self.phase, self._drained_at = QueuePhase.DRAIN, now

    def _error(self, look: QueueLook) -> float:
        """Seconds that the queue lacks, as far as they are to be answered at once.

        Where a longer queue is right (a slow line), seconds count for less: what is seen of it is
        later by as much.
        """
        missing = (self._target - look.delay) * self._tuning.target / self._target
        return missing * self._tuning.sparing if look.sparing else missing

    def _allowed(self, look: QueueLook) -> float:
        """The rate with which the queue becomes as long as it should be."""
        tuning = self._tuning
        if self.phase is QueuePhase.START:
            return self.base
        if self.phase is QueuePhase.DRAIN:
            return self.base * tuning.drain_part
        part = 1 + tuning.gain * self._error(look)
        part = min(tuning.most_part, max(tuning.least_part, part))
        return max(self.base * part, tuning.share * self.known)
