"""Lines in virtual time: byte streams with rate, delay and a bounded window."""

from __future__ import annotations

import math
from collections import deque

import trio
from attrs import define

PIECE = 4096
"""Bytes that travel as one."""


@define(eq=False)
class Nic:
    """A host's line: all of its streams share it."""

    up: float = math.inf
    """Bytes a second."""
    down: float = math.inf
    delay: float = 0.0005
    """Seconds each way."""
    up_free: float = 0.0
    down_free: float = 0.0
    sent: int = 0
    received: int = 0


class Pipe:
    """One direction of a stream."""

    def __init__(self, source: Nic, target: Nic, window: int) -> None:
        self._source = source
        self._target = target
        self._window = window
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._under_way = 0
        self._lot = trio.lowlevel.ParkingLot()
        self.silent = False
        """Swallow everything (a line that is dead without a sign)."""
        self.closed = False
        self.broken = False

    async def send(self, data: bytes) -> None:
        """Returns when all is in the window."""
        for first in range(0, len(data), PIECE):
            piece = bytes(data[first : first + PIECE])
            while self._under_way >= self._window and not self.broken:
                await self._lot.park()
            await trio.lowlevel.checkpoint()
            if self.broken:
                raise trio.BrokenResourceError("the line is gone")
            if self.silent:
                await trio.sleep_forever()
            self._put(piece)

    def _put(self, piece: bytes) -> None:
        size = len(piece)
        source = self._source
        source.up_free = max(trio.current_time(), source.up_free) + size / source.up
        source.sent += size
        self._under_way += size
        self._pieces.append((source.up_free + source.delay + self._target.delay, piece))
        self._lot.unpark_all()

    async def receive(self) -> bytes:
        """The next bytes; empty at the end."""
        while True:
            await trio.lowlevel.checkpoint()
            if self.broken:
                raise trio.BrokenResourceError("the line is gone")
            if self._pieces and self._pieces[0][0] <= trio.current_time():
                return await self._take()
            if self.closed and not self._pieces:
                return b""
            with trio.move_on_at(self._pieces[0][0] if self._pieces else math.inf):
                await self._lot.park()

    async def _take(self) -> bytes:
        """What has arrived, once the downlink, which all streams share, has carried it."""
        now, target = trio.current_time(), self._target
        taken = [piece for arrival, piece in self._pieces if arrival <= now]
        data = b"".join(taken)
        target.down_free = max(now, target.down_free) + len(data) / target.down
        await trio.sleep_until(target.down_free)
        for _ in taken:
            self._pieces.popleft()
        self._under_way -= len(data)
        target.received += len(data)
        self._lot.unpark_all()
        return data

    def close(self, *, broken: bool) -> None:
        self.closed = True
        self.broken = self.broken or broken
        self._lot.unpark_all()


class LineStream(trio.abc.Stream):
    """One end of a stream over two lines."""

    def __init__(self, outgoing: Pipe, incoming: Pipe) -> None:
        self.outgoing = outgoing
        self.incoming = incoming
        self._left = b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        await self.outgoing.send(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        data = self._left or await self.incoming.receive()
        most = max_bytes or len(data)
        self._left = data[most:]
        return data[:most]

    async def aclose(self) -> None:
        self.outgoing.close(broken=False)
        self.incoming.close(broken=True)
        await trio.lowlevel.checkpoint()

    def cut(self) -> None:
        """The line breaks for both ends."""
        self.outgoing.close(broken=True)
        self.incoming.close(broken=True)


def connect(one: Nic, other: Nic, *, window: int = 64 * 1024) -> tuple[LineStream, LineStream]:
    """A stream between two hosts: the end at the first, and at the second."""
    there, back = Pipe(one, other, window), Pipe(other, one, window)
    return LineStream(there, back), LineStream(back, there)
