"""When to try again what failed: after a pause that doubles. Pure: no clock, no I/O."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Backoff(Generic[K]):
    """Pauses by what is tried."""

    def __init__(self, first: float, limit: float) -> None:
        """Nothing has failed yet.

        Args:
            first: Seconds of the first pause; each further failure doubles it ...
            limit: ... up to this.
        """
        self._first = first
        self._limit = limit
        self._pauses: dict[K, tuple[float, float]] = {}
        """Seconds of the last pause, and when it ends."""

    def ready(self, key: K, now: float) -> bool:
        """Whether this may be tried."""
        return now >= self._pauses.get(key, (0.0, -math.inf))[1]

    def failed(self, key: K, now: float) -> None:
        """It was tried in vain."""
        before = self._pauses.get(key)
        seconds = min(self._limit, 2 * before[0]) if before else self._first
        self._pauses[key] = seconds, now + seconds

    def forget(self, which: Callable[[K], bool]) -> None:
        """Something has changed: these may be tried at once."""
        self._pauses = {key: pause for key, pause in self._pauses.items() if not which(key)}
