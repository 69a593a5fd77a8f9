"""What was delivered over an uplink, and how much of it a second lately. Pure: no clock."""

from __future__ import annotations

from collections import deque


class DeliveredRate:
    """Bytes that arrived at the other ends, over the last seconds."""

    __slots__ = ("_seconds", "_totals")

    def __init__(self, now: float, seconds: float) -> None:
        """Nothing was delivered yet.

        Args:
            now: The present.
            seconds: So much of the past counts, long enough for delayed acknowledgements to even
                out.
        """
        self._seconds = seconds
        self._totals: deque[tuple[float, float]] = deque([(now, 0.0)])

    @property
    def total(self) -> float:
        """Bytes since the beginning."""
        return self._totals[-1][1]

    def add(self, delivered: float, now: float) -> float:
        """So many more bytes were; what was delivered a second, lately."""
        total = self.total + delivered
        if now > self._totals[-1][0]:
            self._totals.append((now, total))
        since = now - self._seconds
        while len(self._totals) > 2 and self._totals[1][0] <= since:
            self._totals.popleft()
        begin, before = self._totals[0]
        return (total - before) / (now - begin) if now > begin else 0.0
