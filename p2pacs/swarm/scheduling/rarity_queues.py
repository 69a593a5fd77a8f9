"""Queues of chunk numbers by rank. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

TOP_RANK: Final = 64
"""Chunks that more sources have are all equally common."""

LAST_RANK: Final = 2 * TOP_RANK
"""Ranks above `TOP_RANK` are of chunks outside of what is looked at."""


class RarityQueues:
    """Chunk numbers by rank, first in first out within a rank; may hold stale entries."""

    __slots__ = ("_lowest", "_ranks")

    def __init__(self) -> None:
        self._ranks: dict[int, deque[int]] = {}
        self._lowest = LAST_RANK + 1

    def push(self, rank: int, number: int) -> None:
        """Add a number behind those of the same rank."""
        queue = self._ranks.get(rank)
        if queue is None:
            queue = self._ranks[rank] = deque()
        queue.append(number)
        self._lowest = min(self._lowest, rank)

    def pop(self, most: int = LAST_RANK) -> tuple[int, int] | None:
        """Take out (rank, number) of the lowest rank; None if there is none up to ``most``."""
        while self._lowest <= most:
            queue = self._ranks.get(self._lowest)
            if queue:
                return self._lowest, queue.popleft()
            self._lowest += 1
        return None
