"""How fast a counter grows and when it will be full. Pure: the caller has the clock.

Times are seconds of the caller's clock, rates are bytes a second.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import Final, Generic, TypeVar

MEMORY: Final = 4.0
"""Seconds after which what was measured has lost two thirds of its weight."""

WINDOW: Final = 0.2
"""Seconds between two samples at least: shorter ones would show single blocks."""

STALLED: Final = 10.0
"""Seconds without a byte after which the rate is 0, and no longer a small one."""

OLD: Final = 5.0
"""Seconds after which counters that nobody looked at are measured anew: what they did meanwhile
says little of now."""

FAR: Final = 7 * 24 * 3600.0
"""Seconds: an end further away than this is as good as unknown."""


K = TypeVar("K", bound=Hashable)


class SmoothedRate:
    """The smoothed rate of a counter that somebody looks at now and then.

    Looks may be any time apart: a sample counts for as long as it took. Nothing happens between
    them.
    """

    __slots__ = ("_at", "_count", "_moved", "_seen", "_since", "_sum")

    def __init__(self, now: float, count: int = 0) -> None:
        """A counter that stood at ``count`` at this time."""
        self._at = now
        self._count = count
        self._seen = count
        self._moved = now
        self._since = now
        self._sum = 0.0

    def look(self, now: float, count: int) -> float:
        """The rate, now that the counter stands at ``count``."""
        if count != self._seen:
            self._seen, self._moved = count, now
        elif now - self._moved >= STALLED:
            self._at = self._since = now
            self._count, self._sum = count, 0.0
        elapsed = now - self._at
        if elapsed >= WINDOW:
            sample = max(0, count - self._count) / elapsed
            kept = math.exp(-elapsed / MEMORY)
            self._sum = kept * self._sum + (1 - kept) * sample
            self._at, self._count = now, count
        return self._value

    @property
    def _value(self) -> float:
        """Weighted by what was seen at all: a young rate is not too small."""
        seen = 1 - math.exp(-(self._at - self._since) / MEMORY)
        return self._sum / seen if seen > 0 else 0.0


class SmoothedRates(Generic[K]):
    """The rates of counters that are looked at together, and may come and go."""

    def __init__(self) -> None:
        self._paces: dict[K, SmoothedRate] = {}
        self._looked: float | None = None

    def fresh(self, now: float) -> bool:
        """Whether the last look tells something of this moment."""
        return self._looked is not None and now - self._looked <= OLD

    def look(self, now: float, counts: Mapping[K, int]) -> dict[K, float]:
        """The rate of each counter; 0 at the first look, and at the first after a long time."""
        paces = self._paces if self.fresh(now) else {}
        before = self._looked if self.fresh(now) else None
        self._paces = {
            key: paces.get(key)
            or (SmoothedRate(now, count) if before is None else SmoothedRate(before))
            for key, count in counts.items()
        }
        self._looked = now
        return {key: self._paces[key].look(now, count) for key, count in counts.items()}


def expected_seconds(remaining: int | None, rate: float) -> float | None:
    """Seconds until ``remaining`` bytes are here at this rate.

    Args:
        remaining: Bytes still to come; None while unknown, as in a study that still grows.
        rate: Bytes a second.

    Returns:
        None while nobody can tell: unknown, stalled, or absurdly far away.
    """
    if remaining is None:
        return None
    if remaining <= 0:
        return 0.0
    if rate <= 0 or remaining > FAR * rate:
        return None
    return remaining / rate
