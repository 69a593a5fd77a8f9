"""How long one connection's packets stand in a queue, by round trips. Pure: no clock, no I/O."""

from __future__ import annotations

import math
from typing import Final

from attrs import frozen


@frozen
class QueueDelayTuning:
    """What `QueueDelay` believes of acknowledgements."""

    base_seconds: float = 30.0
    """The least round trip of the last one or two such times is one without a queue."""
    smoothing: float = 7 / 8
    """What a smoothed round trip keeps of its past at each acknowledgement (RFC 6298 2.3)."""
    ack_seconds: float = 0.06
    """Acknowledgements of data are delayed by hardly more, on the average: 40 ms and one
    segment."""
    fresh_acks: int = 3
    """So many acknowledgements tell something new; fewer, mostly how they were delayed."""
    mean_acks: int = 16
    """Delayed by up to 40 or 60 ms, so many together are right to within a few milliseconds."""
    told_acks: int = 10
    """Fewer are not believed."""
    shorter: float = 3.0
    """A shorter trip counts so much more: none is too short, and a queue that drained is seen
    soon."""
    memory_seconds: float = 3.0
    """What was seen longer ago hardly counts."""


TUNING: Final = QueueDelayTuning()
"""What is used unless a test hands in another."""


class QueueDelay:
    """How long one connection's packets stand in a queue.

    The kernel tells a smoothed round trip, which remembers what was long ago if few
    acknowledgements came since. Their number is known, so what it remembers is taken out.
    """

    __slots__ = (
        "_acks",
        "_before",
        "_least",
        "_mean",
        "_meant",
        "_since",
        "_smoothed",
        "_told",
        "_tuning",
    )

    def __init__(self, tuning: QueueDelayTuning = TUNING) -> None:
        self._tuning = tuning
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
        tuning = self._tuning
        fresh = acks - self._acks
        if fresh < tuning.fresh_acks:
            return None
        remembered = tuning.smoothing**fresh if self._smoothed else 0.0
        trip = (rtt - remembered * self._smoothed) / (1 - remembered)
        if now - self._told > tuning.memory_seconds:
            self._meant = min(self._meant, tuning.fresh_acks)
        self._meant = min(tuning.mean_acks, self._meant + fresh)
        weight = fresh / self._meant * (tuning.shorter if trip < self._mean else 1.0)
        self._mean += min(1.0, weight) * (trip - self._mean)
        self._acks, self._smoothed, self._told = acks, rtt, now
        if self._meant < tuning.told_acks:
            return None
        if now - self._since > tuning.base_seconds:
            self._before, self._least, self._since = self._least, math.inf, now
        self._least = min(self._least, self._mean)
        return self._mean - min(self._least, self._before, min_rtt + tuning.ack_seconds)
