"""What waits to leave on one link: control messages first, then blocks, in batches."""

from __future__ import annotations

from collections import deque
from typing import Final

import trio
from attrs import define

from p2pacs import limits

BATCH_BYTES: Final = 256 * limits.KIB
"""Given to the transport at once: large enough for speed; slow lines have small blocks. TLS and
the transport each copy a batch, so all that waits would be there four times over."""

FRAME_COST: Final = 64
"""Bytes that a waiting frame costs beside its own: the least has 7 (`Pong`)."""


@define(eq=False)
class _Blocks:
    """Blocks whose sender waits until they are settled: taken by the transport, or dropped."""

    frames: bytes
    settled: trio.Event | None
    """Set then; None if nobody waits."""
    taken: bool = False

    def settle(self, *, taken: bool) -> None:
        """Tell who waits."""
        self.taken = taken
        if self.settled is not None:
            self.settled.set()


class Outbox:
    """The two queues of a link's sending task.

    Attributes:
        control_bytes: what waits besides blocks, with `FRAME_COST` for each.
    """

    def __init__(self) -> None:
        self.control_bytes = 0
        self._control: deque[bytes] = deque()
        self._blocks: deque[_Blocks] = deque()
        self._wake = trio.Event()  # awaited, and replaced, by the sending task alone

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._control and not self._blocks

    def put(self, frame: bytes) -> None:
        """Queue a control message."""
        self._control.append(frame)
        self.control_bytes += len(frame) + FRAME_COST
        self._wake.set()

    def put_block(self, frame: bytes) -> None:
        """Queue a block for which nobody waits: whoever does so asks `empty` before."""
        self._blocks.append(_Blocks(frame, None))
        self._wake.set()

    async def put_blocks(self, frames: bytes) -> bool:
        """Queue blocks and wait until they are taken; False if they were dropped.

        Cancelled before they are taken, they are not sent.
        """
        settled = trio.Event()
        blocks = _Blocks(frames, settled)
        self._blocks.append(blocks)
        self._wake.set()
        try:
            await settled.wait()
        except trio.Cancelled:
            if not settled.is_set():
                self._blocks.remove(blocks)
            raise
        return blocks.taken

    def drop_blocks(self) -> None:
        """Drop all blocks; those who wait in `put_blocks` learn it."""
        while self._blocks:
            self._blocks.popleft().settle(taken=False)

    def wake(self) -> None:
        """Let the sending task look again at what it waits for."""
        self._wake.set()

    async def wait(self) -> None:
        """Until something was put, or `wake` was called, since the last `take`."""
        await self._wake.wait()

    def take(self) -> bytes:
        """What is sent next: control messages, then blocks, up to a batch."""
        self._wake = trio.Event()
        frames: list[bytes] = []
        size = 0
        while self._control and size < BATCH_BYTES:
            frames.append(frame := self._control.popleft())
            self.control_bytes -= len(frame) + FRAME_COST
            size += len(frame)
        while self._blocks and size < BATCH_BYTES:
            blocks = self._blocks.popleft()
            blocks.settle(taken=True)
            frames.append(blocks.frames)
            size += len(blocks.frames)
        return frames[0] if len(frames) == 1 else b"".join(frames)
