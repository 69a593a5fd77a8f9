"""Draining the queue in the modem of a line whose rate was configured. Pure: no clock, no I/O."""

from __future__ import annotations

from typing import Final

from attrs import frozen


@frozen
class DrainTuning:
    """When `Drain` begins and ends."""

    standing_seconds: float = 0.1
    """A queue on a line whose rate was configured should not be: what the kernel sent late stands
    in the modem, and at the full rate it would stay there ..."""
    drained_seconds: float = 0.05
    """... so the line is used a little less until no more than this is left ..."""
    drain_share: float = 0.97
    """... of its rate (it is full all the same, as long as the queue lasts) ..."""
    settling_seconds: float = 1.0
    """... for as long as that takes, and until acknowledgements tell of it. What is there then is
    not ours: acknowledgements wait at the other ends, or another program fills the line."""


TUNING: Final = DrainTuning()
"""What is used unless a test hands in another."""


class Drain:
    """Decides when to drain, from the delays that round trips tell of."""

    __slots__ = ("_others", "_until", "draining", "tuning")

    def __init__(self, tuning: DrainTuning = TUNING) -> None:
        self.tuning = tuning
        self.draining = False
        """Whether `DrainTuning.drain_share` of the rate is to be used now."""
        self._until = 0.0
        self._others = 0.0
        """Seconds of the delay that no drain of ours could end."""

    def update(self, delay: float, now: float) -> bool:
        """Take note of the delay now; whether `draining` has changed.

        Args:
            delay: Seconds in a queue, the least that any connection tells of.
            now: The present.
        """
        self._others = min(self._others, delay)
        ours = delay - self._others
        if not self.draining:
            if ours <= self.tuning.standing_seconds:
                return False
            self._until = now + ours / (1 - self.tuning.drain_share) + self.tuning.settling_seconds
        elif ours > self.tuning.drained_seconds:
            if now <= self._until:
                return False
            self._others = delay
        self.draining = not self.draining
        return True
