"""How long things took, counted in a few buckets: what Prometheus calls a histogram."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen

REQUESTS: Final = (0.01, 0.05, 0.25, 1.0, 5.0, 30.0, 120.0)
"""Seconds: from a search out of memory to a study over a slow line."""


@frozen
class Histogram:
    """One series of a histogram."""

    labels: tuple[str, ...]
    buckets: tuple[tuple[float, int], ...]
    """Upper bound in seconds (the last is infinite) and how many took at most that long."""
    seconds: float
    """All together."""


class Durations:
    """Counts by the values of some labels; any thread may add."""

    def __init__(self, bounds: Sequence[float] = REQUESTS) -> None:
        """Nothing was counted.

        Args:
            bounds: upper bounds of the buckets in seconds, rising.
        """
        self._bounds = (*bounds, float("inf"))
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._seconds: dict[tuple[str, ...], float] = {}
        self._lock = threading.Lock()

    def add(self, seconds: float, *labels: str) -> None:
        """Something of this kind took so long."""
        with self._lock:
            counts = self._counts.setdefault(labels, [0] * len(self._bounds))
            counts[bisect_left(self._bounds, seconds)] += 1
            self._seconds[labels] = self._seconds.get(labels, 0.0) + seconds

    def read(self) -> Iterator[Histogram]:
        """All series as they are now, sorted by their labels."""
        with self._lock:
            counts = {labels: tuple(those) for labels, those in sorted(self._counts.items())}
            seconds = dict(self._seconds)
        for labels, those in counts.items():
            sums = [sum(those[: number + 1]) for number in range(len(those))]
            pairs = tuple(zip(self._bounds, sums, strict=True))
            yield Histogram(labels, pairs, seconds[labels])
