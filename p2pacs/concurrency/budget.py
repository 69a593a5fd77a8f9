"""A bound on bytes in memory: the more urgent first, then first come first served."""

from __future__ import annotations

import trio

from p2pacs.concurrency.urgency import USUAL, Haste, TurnQueue


class Budget:
    """Bytes that may be in flight at once, shared by several tasks.

    Something larger than the whole budget goes through alone.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._used = 0
        self._waiting = TurnQueue[tuple[int, trio.Event]]()

    async def acquire(self, size: int, urgency: Haste = USUAL) -> None:
        """Wait until ``size`` bytes are free, and it is the turn of who is so urgent; take them."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._waiting or not self._fits(size):
            turn = trio.Event()
            waiting = (size, turn)
            self._waiting.add(waiting, urgency)
            try:
                await turn.wait()
            except trio.Cancelled:
                if turn.is_set():
                    self.release(size)
                else:
                    self._waiting.remove(waiting)
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
        while (first := self._waiting.next()) and self._fits(first[0]):
            size, turn = self._waiting.take()
            self._used += size
            turn.set()
