"""A bound on bytes in memory, first come first served."""

from __future__ import annotations

from collections import deque

import trio


class Budget:
    """Bytes that may be in flight at once, shared by several tasks.

    Something larger than the whole budget goes through alone.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._waiting: deque[tuple[int, trio.Event]] = deque()

    async def acquire(self, size: int) -> None:
        """Wait until ``size`` bytes are free, and take them."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._waiting or not self._fits(size):
            turn = trio.Event()
            self._waiting.append((size, turn))
            try:
                await turn.wait()
            except trio.Cancelled:
                if turn.is_set():
                    self.release(size)
                else:
                    self._waiting.remove((size, turn))
                    self._admit()
                raise
        else:
            self._used += size

    def release(self, size: int) -> None:
        """Give back what `acquire` took."""
        self._used -= size
        self._admit()

    def _fits(self, size: int) -> bool:
        return not self._used or self._used + size <= self._size

    def _admit(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size, turn = self._waiting.popleft()
            self._used += size
            turn.set()
