"""What waits to leave on one link: control messages first, then blocks, in batches."""

from __future__ import annotations

from collections import deque
from typing import Final

import trio
from attrs import define

from p2pacs import limits

BATCH_BYTES: Final = 256 * limits.KIB
"""Given to the transport at once: large enough for speed; slow lines have small blocks."""


@define(eq=False)
class _Block:
    """A block whose sender waits until it is settled: taken by the transport, or dropped."""

    frame: bytes
    settled: trio.Event
    taken: bool = False


class Outbox:
    """The two queues of a link's sending task.

    Attributes:
        control_bytes: what waits besides blocks.
    """

    def __init__(self) -> None:
        self.control_bytes = 0
        self._control: deque[bytes] = deque()
        self._blocks: deque[_Block] = deque()
        self._wake = trio.Event()  # awaited, and replaced, by the sending task alone

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._control and not self._blocks

    def put(self, frame: bytes) -> None:
        """Queue a control message."""
        self._control.append(frame)
        self.control_bytes += len(frame)
        self._wake.set()

    async def put_block(self, frame: bytes) -> bool:
        """Queue a block and wait until it is taken; False if it was dropped.

        Cancelled before it is taken, it is not sent.
        """
        block = _Block(frame, trio.Event())
        self._blocks.append(block)
        self._wake.set()
        try:
            await block.settled.wait()
        except trio.Cancelled:
            if not block.settled.is_set():
                self._blocks.remove(block)
            raise
        return block.taken

    def drop_blocks(self) -> None:
        """Drop all blocks; those who wait in `put_block` learn it."""
        while self._blocks:
            self._blocks.popleft().settled.set()

    def wake(self) -> None:
        """Let the sending task look again at what it waits for."""
        self._wake.set()

    async def wait(self) -> None:
        """Until something was put, or `wake` was called, since the last `take`."""
        await self._wake.wait()

    def take(self) -> bytes:
        """What is sent next: all control messages, then blocks up to a batch."""
        self._wake = trio.Event()
        frames = list(self._control)
        self._control.clear()
        self.control_bytes = 0
        size = 0
        while self._blocks and size < BATCH_BYTES:
            block = self._blocks.popleft()
            block.taken = True
            block.settled.set()
            frames.append(block.frame)
            size += len(block.frame)
        return frames[0] if len(frames) == 1 else b"".join(frames)
