"""Lines in virtual time: byte streams that share lines of a rate, a delay, a queue and loss.

What is sent goes piece by piece through the sender's uplink (one after the other, in the order
in which it was handed over), takes the delay of both lines, and goes through the receiver's
downlink in the order of arrival. A stream is reliable, as TCP is: nothing is dropped, but a
sender waits while its window is full or the line's queue is, and what stands behind a lost
segment waits until that was sent again. Slow start and what loss does to the window are left
out.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Final

import trio

from p2pacs.limits import KIB
from p2pacs.line.pacing import SEGMENT_BYTES
from p2pacs.wire.channel.prompt import PromptStream
from tests.simulation.clock import timer
from tests.simulation.nic import Nic, Sleeper

PIECE: Final = 16 * KIB
"""Bytes that travel as one at most: a TLS record."""

SEND_BUFFER: Final = 16 * KIB
SEND_SECONDS: Final = 0.25
"""What a stream may have sent and not acknowledged, as a paced link's kernel: the larger one."""

UNREAD: Final = 64 * KIB
"""Bytes that may wait for the reader, at least, before they are no longer acknowledged."""

FASTEST: Final = 4_000_000
"""Bytes a second that are a line without a limit to the kernel's buffers."""


class _Piece:
    """Bytes on their way."""

    __slots__ = ("arrived", "data", "last_in", "wire")

    def __init__(self, data: bytes, wire: int, last_in: float) -> None:
        self.data = data
        self.wire = wire
        self.last_in = last_in
        self.arrived = False


class Pipe:
    """One direction of a stream."""

    def __init__(self, source: Nic, target: Nic, window: int) -> None:
        self._source = source
        self._target = target
        self._window = window
        self._delay = source.delay + target.delay
        self._most_unread = _buffer(target.down, UNREAD)
        self._at = timer()
        self._under_way: deque[_Piece] = deque()
        self._sent = 0  # and not acknowledged
        self._acks: deque[tuple[float, int]] = deque()
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._unacknowledged = 0
        self._sender = Sleeper()
        self._reader = Sleeper()
        self.silent = False
        """Nothing goes out."""
        self.closed = False
        self.broken = False

    # ------------------------------------------------------------ the sender

    async def send(self, data: bytes) -> None:
        """Returns when all is in the window."""
        await trio.lowlevel.checkpoint_if_cancelled()
        for first in range(0, len(data), PIECE):
            await self._room()
            self._put(data[first : first + PIECE] if len(data) > PIECE else data)

    def take(self, data: bytes) -> int:
        """Send what the window has room for; how many bytes that are."""
        if self.broken:
            raise trio.BrokenResourceError("the line is gone")
        now = trio.current_time()
        taken = 0
        while taken < len(data) and self._has_room(now):
            piece = data[taken : taken + PIECE]
            self._put(piece)
            taken += len(piece)
        return taken

    def _has_room(self, now: float) -> bool:
        while self._acks and self._acks[0][0] <= now:
            self._sent -= self._acks.popleft()[1]
        return not self.silent and self._sent < self._window and not self._source.full(now)

    async def _room(self) -> None:
        """Until the window and the line's queue have room."""
        while not self.broken:
            if self._has_room(trio.current_time()):
                return
            if self.silent:
                await self._sender.sleep()
            elif self._sent >= self._window:
                if self._acks:
                    self._at(self._acks[0][0], self._sender.wake)
                await self._sender.sleep()
            else:
                await self._source.room(self._sender)
        raise trio.BrokenResourceError("the line is gone")

    def _put(self, data: bytes) -> None:
        source = self._source
        wire = source.overhead.wire_bytes(len(data))
        start = source.push(wire, trio.current_time())
        source.set_turn()
        self._sent += len(data)
        piece = self._begin(data, wire, source.up_free + self._delay)
        self._at(start + self._delay, partial(self._arriving, piece))

    # ------------------------------------------------------------ on the way

    def _begin(self, data: bytes, wire: int, last_in: float) -> _Piece:
        """Bytes whose last one is at the downlink at a time, behind all others."""
        piece = _Piece(data, wire, last_in)
        self._under_way.append(piece)
        return piece

    def _arriving(self, piece: _Piece) -> bool:
        """The first byte is at the downlink."""
        now = trio.current_time()
        done = max(piece.last_in, self._target.pull(piece.wire, now))
        if lost := self._lost(piece.wire):
            self._at(done + self._delay, partial(self._again, piece, lost))
        else:
            self._at(done, partial(self._arrive, piece))
        return False

    def _lost(self, size: int) -> int:
        """How many of these bytes are lost."""
        loss = self._source.loss
        if not loss:
            return 0
        segments = -(-size // SEGMENT_BYTES)
        lost = sum(self._source.random.random() < loss for _ in range(segments))
        return min(size, lost * SEGMENT_BYTES)

    def _again(self, piece: _Piece, size: int) -> bool:
        """The sender learns that bytes were lost, and sends them again."""
        self._source.push(size, trio.current_time())
        done = self._source.up_free + self._delay
        if lost := self._lost(size):
            self._at(done + self._delay, partial(self._again, piece, lost))
        else:
            self._at(done, partial(self._arrive, piece))
        return False

    def _arrive(self, piece: _Piece) -> bool:
        """All of a piece is here; it is read when all before it is."""
        piece.arrived = True
        pieces = self._under_way
        while pieces and pieces[0].arrived:
            data = pieces.popleft().data
            self._unread.append(data)
            self._unread_bytes += len(data)
            self._unacknowledged += len(data)
        woken = self._acknowledge()
        return self._reader.wake() or woken

    def _acknowledge(self) -> bool:
        if not self._unacknowledged or self._unread_bytes > self._most_unread:
            return False
        now, size = trio.current_time(), self._unacknowledged
        self._unacknowledged = 0
        if acks := self._target.overhead.ack_bytes(size):
            self._target.push(acks, now)
        self._told(size, acks)
        return False

    def _told(self, size: int, acks: int) -> None:
        """The sender will know that so many bytes are here, by so many on the line."""
        now = trio.current_time()
        if acks:
            self._source.pull(acks, now)
        self._acks.append((now + self._delay, size))
        if self._sender.sleeping:
            self._at(now + self._delay, self._sender.wake)

    # ------------------------------------------------------------ the receiver

    async def receive(self, most: int | None) -> bytes:
        """The next bytes; empty at the end."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while not self._unread:
            if self.broken:
                raise trio.BrokenResourceError("the line is gone")
            if self.closed and not self._under_way:
                return b""
            await self._reader.sleep()
        if self.broken:
            raise trio.BrokenResourceError("the line is gone")
        if len(self._unread) == 1 or most is not None:
            data = self._unread.popleft()
            if most is not None and len(data) > most:
                self._unread.appendleft(data[most:])
                data = data[:most]
        else:
            data = b"".join(self._unread)
            self._unread.clear()
        self._unread_bytes -= len(data)
        self._target.received += len(data)
        self._acknowledge()
        return data

    def carry(self, *, on: bool) -> None:
        """Take nothing any more (a line that is dead without a sign), or go on."""
        self.silent = not on
        if on:
            self._sender.wake()

    def close(self, *, broken: bool) -> None:
        self.closed = True
        self.broken = self.broken or broken
        self._sender.wake()
        self._reader.wake()


class LineStream(PromptStream):
    """One end of a stream over two lines."""

    def __init__(self, nic: Nic, outgoing: Pipe, incoming: Pipe) -> None:
        self.nic = nic
        self.outgoing = outgoing
        self.incoming = incoming
        self._rest = b""

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Returns when all is in the window."""
        raw = bytes(data)
        self._count(raw)
        await self.outgoing.send(raw)

    @property
    def prompt(self) -> bool:
        """It takes bytes at once."""
        return True

    def write(self, data: bytes, *, more: bool = False) -> bool:
        """Send what the window has room for."""
        self._count(data)
        self._rest = data[self.outgoing.take(data) :]
        return not self._rest

    async def flush(self) -> None:
        """Send the rest."""
        rest, self._rest = self._rest, b""
        await self.outgoing.send(rest)

    def _count(self, raw: bytes) -> None:
        """Links send whole frames."""
        at = 0
        while at + 6 <= len(raw):
            size = 4 + int.from_bytes(raw[at : at + 4], "big")
            self.nic.messages[raw[at + 5]] += 1
            self.nic.message_bytes[raw[at + 5]] += size
            at += size

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self.incoming.receive(max_bytes)

    async def aclose(self) -> None:
        self.outgoing.close(broken=False)
        self.incoming.close(broken=True)
        await trio.lowlevel.checkpoint()

    def cut(self) -> None:
        """The line breaks for both ends."""
        self.outgoing.close(broken=True)
        self.incoming.close(broken=True)


def _buffer(rate: float, least: int) -> int:
    """What a kernel buffers on a line of this rate."""
    return max(least, int(min(rate, FASTEST) * SEND_SECONDS))


def buffers(source: Nic) -> int:
    """What a stream from this host may have sent and not acknowledged."""
    return _buffer(source.up, SEND_BUFFER)


def connect(one: Nic, other: Nic) -> tuple[LineStream, LineStream]:
    """A stream between two hosts: the end at the first, and at the second."""
    there = Pipe(one, other, buffers(one))
    back = Pipe(other, one, buffers(other))
    return LineStream(one, there, back), LineStream(other, back, there)
