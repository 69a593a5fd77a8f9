"""Reading a slow line in batches: a wake-up for every segment costs more than the bytes."""

from __future__ import annotations

from typing import Final

import trio

from p2pacs.limits import KIB

GATHER_SECONDS: Final = 0.04
"""Between two reads: a control message waits so long at most, and only behind other bytes ..."""

GATHER_BYTES: Final = 32 * KIB
"""... and after a batch of this size not at all: the line is fast."""


class GatheringStream(trio.abc.Stream):
    """A stream that lets bytes come together before it reads on.

    The first bytes after a silence are given at once. Under a TLS stream a batch is what the
    kernel has by then; the kernel, too, acknowledges less often what is read less often.
    All streams read at the same ticks of the clock, so that a host with many busy links wakes
    once for all of them.
    """

    def __init__(self, inner: trio.abc.Stream, seconds: float = GATHER_SECONDS) -> None:
        """A stream in front of another.

        Args:
            inner: The stream.
            seconds: Between two reads.
        """
        self.inner = inner
        self._seconds = seconds
        self._next = trio.current_time()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Wait for bytes, not sooner than the last ones are old enough."""
        if trio.current_time() < self._next:
            await _until(self._next)
        data = await self.inner.receive_some(max_bytes)
        if len(data) < GATHER_BYTES:
            self._next = _tick(trio.current_time(), self._seconds)
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As the stream does."""
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As the stream says."""
        await self.inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the stream."""
        await self.inner.aclose()


_waiting: trio.lowlevel.RunVar[dict[float, trio.lowlevel.ParkingLot]] = trio.lowlevel.RunVar(
    "streams that wait for a tick"
)


async def _until(tick: float) -> None:
    """Sleep until a tick: one stream does, and wakes all others (a timer costs more than they).

    Should it be cancelled, the others are woken early, which only makes their batch smaller.
    """
    try:
        lots = _waiting.get()
    except LookupError:
        _waiting.set(lots := {})
    if (lot := lots.get(tick)) is not None:
        await lot.park()
        return
    lot = lots[tick] = trio.lowlevel.ParkingLot()
    try:
        await trio.sleep_until(tick)
    finally:
        del lots[tick]
        lot.unpark_all()


def _tick(now: float, seconds: float) -> float:
    """The tick that is nearest to ``seconds`` from now: half of that at least."""
    return round(now / seconds + 1) * seconds if seconds else now
