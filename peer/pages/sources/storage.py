"""How full the store is, and when it will be: a straight line through what was noted. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

DAY: Final = 24 * 3600.0

LEAST_DAYS: Final = 1.0
"""Noted over less than this, nothing is foretold: one large study is no trend."""

FAR_DAYS: Final = 730.0
"""Further away than this is as good as never."""


@frozen
class StoreUse:
    """Bytes in use at a time."""

    time: float
    """Seconds since 1970."""
    used: int


@frozen
class StorageForecast:
    """How the store is, and how it goes on."""

    used: int
    capacity: int | None
    """Bytes; None: as much as the disk has."""
    growth: float | None
    """Bytes a day, of late; None while that is not known."""
    days: float | None
    """Until it is full; None: not for long, or nobody can tell."""

    @property
    def percent(self) -> int | None:
        """How full it is."""
        return None if not self.capacity else min(100, 100 * self.used // self.capacity)


def forecast(noted: Sequence[StoreUse], used: int, capacity: int | None) -> StorageForecast:
    """What is to be expected.

    Args:
        noted: in the order of time.
        used: bytes now.
        capacity: bytes; None: no bound.
    """
    growth = _slope(noted)
    if growth is None or capacity is None or growth <= 0:
        return StorageForecast(used, capacity, growth, None)
    days = max(0, capacity - used) / growth
    return StorageForecast(used, capacity, growth, days if days <= FAR_DAYS else None)


def _slope(noted: Sequence[StoreUse]) -> float | None:
    """Bytes a day, by least squares."""
    if len(noted) < 2 or noted[-1].time - noted[0].time < LEAST_DAYS * DAY:
        return None
    times = [(one.time - noted[0].time) / DAY for one in noted]
    middle, mean = sum(times) / len(times), sum(one.used for one in noted) / len(noted)
    spread = sum((time - middle) ** 2 for time in times)
    if not spread:
        return None
    together = zip(times, noted, strict=True)
    return sum((time - middle) * (one.used - mean) for time, one in together) / spread
