"""The rate of an uplink that nobody told us, found out while it is used. Pure: no clock, no I/O.

The rate climbs slowly until round trips say that a queue has begun to form, goes back to what
the line carried and lets the queue drain, and climbs again. So the line is full but for a
moment every few seconds, a queue never gets long, and the drained moments show what a round
trip takes without a queue, whatever delays of acknowledgements are part of it.
"""

from __future__ import annotations

import math
from collections import deque
from enum import Enum, auto
from typing import Final

from attrs import frozen

START: Final = 32_000.0
"""Bytes a second to begin with: 256 kbit/s, which hardly any line lacks."""

LEAST: Final = 4_000.0
MOST: Final = 125_000_000.0
"""Bytes a second: 32 kbit/s and 1 Gbit/s."""

TARGET: Final = 0.025
"""Seconds in the queue that show that the line is full; the longest is about twice that."""

LONG_QUEUE: Final = 0.08
"""Seconds in the queue that a slow climb cannot make: the line has changed, or others use it."""

START_STEP: Final = 0.4
START_FACTOR: Final = 1.25
"""At the start the rate grows this much in each step of so many seconds: tenfold in four."""

BLIND_SECONDS: Final = 3.0
BLIND_PART: Final = 0.5
"""Where acknowledgements are too few to tell, it grows when this part arrives for so long."""

KEPT_UP: Final = 0.8
"""A line that delivers less than this part of what it is given has changed."""

CLIMB: Final = 0.005
CLIMB_MOST: Final = 0.2
"""Growth a second after a queue was drained, and at most ..."""

CLIMB_DOUBLES: Final = 3.0
"""... doubled after each so many seconds without a queue."""

CLIMB_KNOWN: Final = 0.05
"""At least so much growth while the rate is below what the line carried before ..."""

KNOWN_PART: Final = 0.8
"""... by more than this part."""

BACK: Final = 0.975
"""To this part of the rate when a climb found the line full."""

DRAIN: Final = 0.75
DRAIN_LONG: Final = 0.5
"""Part of the rate while a queue drains; of a long one."""

DRAIN_SECONDS: Final = 1.5
"""The drain takes at most this long."""

BACK_LONG: Final = 0.9
"""To this part of what arrived, when the queue got long: some of that arrived before."""

SETTLING: Final = 0.5
SETTLING_BYTES: Final = 20_000
"""After a drain, acknowledgements still tell of the queue for so long, and so many bytes."""

FALLING: Final = 0.8
"""A queue that has shrunk to this part since the last look is on its way out."""

NOISE: Final = 0.06
"""No more than this, after a drain, is none of ours and nobody's to whom to yield: acknowledgements
wait behind what the other ends send themselves (20 to 40 ms in a swarm) ..."""

LEFT: Final = 0.8
"""... if it is this part of what there was before ..."""

NOISE_FADES: Final = 0.05
"""... and of that, so much a second is forgotten when less is seen."""

AGAIN: Final = 0.95
"""To this part of the rate when one drain was not enough."""

YIELD: Final = 0.7
"""The queue is there although we drained ours: others fill it, and get room."""

SHARE: Final = 0.25
"""Of what the line once carried, this much is kept beside others who never yield."""

FORGET: Final = 0.9
"""What the line once carried counts so much less each time it does not carry even that."""

DELIVERED_SECONDS: Final = 0.8
"""The last part of what was delivered, long enough for delayed acknowledgements to even out."""

BASE_SECONDS: Final = 30.0
"""The least round trip of the last one or two such times is one without a queue."""

SMOOTHING: Final = 7 / 8
"""What a smoothed round trip keeps of its past at each acknowledgement (RFC 6298 2.3)."""

ACK_SECONDS: Final = 0.06
"""Acknowledgements of data are delayed by hardly more, on the average: 40 ms and one segment."""

FRESH_ACKS: Final = 3
"""So many acknowledgements tell something new; fewer, mostly how they were delayed."""

MEAN_ACKS: Final = 16
"""Delayed by up to 40 or 60 ms, so many together are right to within a few milliseconds."""

TOLD_ACKS: Final = 10
"""Fewer are not believed."""

SHORTER: Final = 3.0
"""A shorter trip counts so much more: none is too short, and a queue that drained is seen soon."""

MEMORY_SECONDS: Final = 3.0
"""What was seen longer ago hardly counts."""


@frozen
class Sample:
    """What was seen since the last one."""

    delivered: float
    """Wire bytes that arrived at the other ends."""
    delay: float | None
    """Seconds in the uplink's queue: the least over the connections; None if none tells."""
    limited: bool
    """Whether somebody waited for the budget."""


class QueueDelay:
    """How long one connection's packets stand in a queue.

    The kernel tells a smoothed round trip, which remembers what was long ago if few
    acknowledgements came since. Their number is known, so what it remembers is taken out.
    """

    __slots__ = ("_acks", "_before", "_least", "_mean", "_meant", "_since", "_smoothed", "_told")

    def __init__(self) -> None:
        self._acks = 0
        self._smoothed = 0.0
        self._mean = 0.0
        self._meant = 0
        """Acknowledgements that the mean is of."""
        self._told = -math.inf
        self._least = self._before = math.inf
        self._since = -math.inf

    def update(self, rtt: float, min_rtt: float, acks: int, now: float) -> float | None:
        """The delay now; None while too little was acknowledged to tell.

        Args:
            rtt: Round trip in seconds, smoothed as RFC 6298 says.
            min_rtt: The least that was seen, be it of the handshake.
            acks: Acknowledgements that came since the connection began.
            now: The present.
        """
        fresh = acks - self._acks
        if fresh < FRESH_ACKS:
            return None
        remembered = SMOOTHING**fresh if self._smoothed else 0.0
        trip = (rtt - remembered * self._smoothed) / (1 - remembered)
        if now - self._told > MEMORY_SECONDS:
            self._meant = min(self._meant, FRESH_ACKS)
        self._meant = min(MEAN_ACKS, self._meant + fresh)
        weight = fresh / self._meant * (SHORTER if trip < self._mean else 1.0)
        self._mean += min(1.0, weight) * (trip - self._mean)
        self._acks, self._smoothed, self._told = acks, rtt, now
        if self._meant < TOLD_ACKS:
            return None
        if now - self._since > BASE_SECONDS:
            self._before, self._least, self._since = self._least, math.inf, now
        self._least = min(self._least, self._mean)
        return self._mean - min(self._least, self._before, min_rtt + ACK_SECONDS)


class Phase(Enum):
    """What the controller does."""

    START = auto()
    CLIMB = auto()
    DRAIN = auto()


class UplinkController:
    """The controller."""

    def __init__(self, now: float) -> None:
        self.rate = START
        """Bytes a second that may be sent now."""
        self.phase = Phase.START
        self._level = START
        self._known = 0.0
        self._delivered: deque[tuple[float, float]] = deque([(now, 0.0)])
        self._at = now
        self._quiet_since = now
        self._next_step = now + 2 * START_STEP
        self._stepped = (now, 0.0)
        """When the rate grew last at the start, and what had been delivered until then."""
        self._until = now
        self._stands: float | None = None
        """The delay when the queue was last drained, until there is none."""
        self._drains = 0
        self._last_delay: float | None = None
        self._noise = 0.0
        """Seconds of the delay that a drain did not end."""
        self._before_drain = (0.0, START, now)
        """The delay, the rate, and since when there was no queue."""

    def update(self, sample: Sample, now: float) -> float:
        """The rate from now on, in bytes a second."""
        passed = max(0.0, now - self._at)
        self._at = now
        carried = self._carry(sample.delivered, now)
        delay = self._twice(sample.delay)
        if not sample.limited:  # what is not used says nothing of the line
            self._quiet_since = self._next_step = now
            self._next_step += 2 * START_STEP
            self._stepped = (now, self._delivered[-1][1])
            passed = 0.0
        if self.phase is Phase.DRAIN:
            self._drain(now)
        elif self.phase is Phase.START:
            self._start(delay, carried, now)
        elif sample.limited and now >= self._until:
            self._climb(delay, carried, passed, now)
        self._level = min(MOST, max(LEAST, self._level))
        if self.phase is not Phase.DRAIN:
            self.rate = self._level
        return self.rate

    def _twice(self, delay: float | None) -> float | None:
        """The delay, if two looks agree on it."""
        last, self._last_delay = self._last_delay, delay
        return delay if delay is None or last is None else min(delay, last)

    def _carry(self, delivered: float, now: float) -> float:
        """What was delivered a second, lately."""
        total = self._delivered[-1][1] + delivered
        if now > self._delivered[-1][0]:
            self._delivered.append((now, total))
        while len(self._delivered) > 2 and self._delivered[1][0] <= now - DELIVERED_SECONDS:
            self._delivered.popleft()
        begin, before = self._delivered[0]
        return (total - before) / (now - begin) if now > begin else 0.0

    def _start(self, delay: float | None, carried: float, now: float) -> None:
        if delay is not None and delay > TARGET:
            self._full(delay, min(carried, self._level), now)
            return
        arrived = self._delivered[-1][1] - self._stepped[1]
        blind = now - self._stepped[0]
        if delay is None:
            step = blind >= BLIND_SECONDS and arrived >= BLIND_PART * self._level * blind
        else:
            step = now >= self._next_step
        if step:
            self._level *= START_FACTOR
            self._next_step = now + START_STEP
            self._stepped = (now, self._delivered[-1][1])

    def _climb(self, delay: float | None, carried: float, passed: float, now: float) -> None:
        if delay is not None:
            self._noise -= max(0.0, self._noise - delay) * min(1.0, NOISE_FADES * passed)
        if delay is not None and self._drains == 1 and self._in_vain(delay):
            return
        if delay is None or delay <= self._noise + TARGET:
            if delay is not None:
                self._stands, self._drains = None, 0
            quiet = (now - self._quiet_since) / CLIMB_DOUBLES
            growth = min(CLIMB_MOST, CLIMB * 2 ** min(quiet, 10.0))
            if self._level < KNOWN_PART * self._known:
                growth = max(growth, CLIMB_KNOWN)
            self._level *= 1 + growth * passed
        elif self._stands is None:
            self._before_drain = delay, self._level, self._quiet_since
            short = max(min(carried, BACK * self._level), 0.9 * self._level)
            self._full(delay, short if delay <= LONG_QUEUE else BACK_LONG * carried, now)
        elif delay <= FALLING * self._stands:
            self._stands = delay
            self._until = now + self._settling
        elif self._drains == 1:  # the first time the queue was longer than it was known to be
            self._full(delay, AGAIN * self._level, now)
        else:
            self._yield(delay, carried, now)

    def _in_vain(self, delay: float) -> bool:
        """Whether a drain left the delay as it was; then all is as before it."""
        before, level, quiet_since = self._before_drain
        if not LEFT * before < delay <= NOISE:
            return False
        self._noise, self._level, self._quiet_since = delay, max(self._level, level), quiet_since
        self._stands, self._drains = None, 0
        return True

    def _yield(self, delay: float, carried: float, now: float) -> None:
        """Our queue should have been drained, and is there still."""
        floor = SHARE * self._known
        if self._level <= floor and carried < KEPT_UP * self._level:
            self._known *= FORGET
        self._full(delay, max(floor, YIELD * self._level), now)

    @property
    def _settling(self) -> float:
        return SETTLING + SETTLING_BYTES / self._level

    def _full(self, delay: float, level: float, now: float) -> None:
        """A queue has formed: let it drain, and go on at this level."""
        if self._stands is None:
            self._known = max(level, self._known * FORGET)
            self._stands = math.inf  # the next look is the first that can tell
        else:
            self._stands = delay
        self._drains += 1
        self.phase = Phase.DRAIN
        self._level = min(MOST, max(LEAST, level))
        part = DRAIN if delay <= LONG_QUEUE else DRAIN_LONG
        self.rate = max(LEAST, self._level * part)
        self._until = now + min(DRAIN_SECONDS, delay / (1 - part))

    def _drain(self, now: float) -> None:
        if now >= self._until:
            self.phase = Phase.CLIMB
            self._until = now + self._settling
            self._quiet_since = now
