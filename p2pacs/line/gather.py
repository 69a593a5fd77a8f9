"""Reading slow lines in batches: a wake-up for every segment costs more than the bytes.

On Linux (`p2pacs.line.readable`) one task reads all paced links of a host at common ticks of the
clock, and wakes a link's own task only when there is a whole TLS record for it: before, nothing
could be opened. The kernel, too, acknowledges less often what is read less often.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Final

import trio

from p2pacs.limits import KIB
from p2pacs.line.pacing import SEGMENT_BYTES
from p2pacs.line.readable import ReadableSockets
from p2pacs.wire.channel.records import RecordEnds

GATHER_SECONDS: Final = 0.04
"""Between two reads: a message waits so long at most, unless all links were silent ..."""

GATHER_BYTES: Final = 32 * KIB
"""... and after a batch of this size not at all: the line is fast."""

CORK: Final = getattr(socket, "TCP_CORK", None)
"""Linux's; other systems send what there is. (MSG_MORE would not do: without Nagle's algorithm the
next acknowledgement lets go of what it holds back.)"""

QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)
"""Linux's, too; other systems acknowledge as they like."""

PROMPTER: Final = 5
"""After a read that was less than a segment (`SEGMENT_BYTES`) the next comes so many times earlier:
those are offers and answers, which wait for each other."""

READ_BYTES: Final = 64 * KIB
"""Read at once at most."""


class Gatherer:
    """Reads all paced links of a host.

    The first bytes after a silence of all links are read at once.
    """

    def __init__(self, seconds: float = GATHER_SECONDS) -> None:
        """Nothing is read before `run`.

        Args:
            seconds: Between two reads.
        """
        self._seconds = seconds
        self._sockets = ReadableSockets()
        self._streams: dict[int, GatheringStream] = {}

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await trio.lowlevel.wait_readable(self._sockets.fileno())
            while readable := self._sockets.now(len(self._streams) + 1):
                read = sum(self._streams[descriptor].look() for descriptor in readable)
                pause = self._seconds if read >= SEGMENT_BYTES else self._seconds / PROMPTER
                await trio.sleep_until(_tick(trio.current_time(), pause))

    def close(self) -> None:
        """Nothing is read any more; streams may still be closed."""
        self._streams.clear()
        self._sockets.close()

    def stream(self, inner: trio.SocketStream) -> GatheringStream:
        """A stream that is read together with the others, in front of a socket's."""
        stream = GatheringStream(inner, self)
        descriptor = inner.socket.fileno()
        self._streams[descriptor] = stream
        self._sockets.add(descriptor)
        return stream

    def forget(self, stream: GatheringStream, descriptor: int) -> None:
        """A stream is about to be closed."""
        if self._streams.get(descriptor) is stream:
            del self._streams[descriptor]
            self._sockets.remove(descriptor)


class GatheringStream(trio.abc.Stream):
    """The socket under a TLS channel, read by its host's `Gatherer`."""

    def __init__(self, inner: trio.SocketStream, gatherer: Gatherer) -> None:
        """Made by `Gatherer.stream`.

        Args:
            inner: The socket's stream.
            gatherer: The host's.
        """
        self.inner = inner
        self._gatherer = gatherer
        self._descriptor = inner.socket.fileno()
        self._corked = False
        self._tcp = inner.socket.family in (socket.AF_INET, socket.AF_INET6)
        self._records = RecordEnds()
        self._held = b""
        self._fast = self._whole = self._ended = False
        self._error: OSError | None = None
        self._task: trio.lowlevel.Task | None = None

    # ------------------------------------------------------------ the gatherer's

    def look(self) -> int:
        """There is something to read: do so if somebody waits for it; else TCP holds it back.

        Returns:
            How many bytes were read.
        """
        if self._task is None:
            return 0
        data = b""
        try:
            if self._tcp and QUICKACK is not None:
                # else the kernel acknowledges 16 segments one by one after each pause
                self.inner.socket.setsockopt(socket.IPPROTO_TCP, QUICKACK, 0)
            data = os.read(self._descriptor, READ_BYTES)
            self._take(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._error = error
        if self._whole or self._ended or self._error is not None:
            self._wake()
        return len(data)

    def _take(self, data: bytes) -> None:
        self._held += data
        self._ended = not data
        self._fast = len(data) >= GATHER_BYTES
        self._whole = self._records.feed(data) or self._whole

    def _wake(self) -> None:
        if self._task is not None:
            task, self._task = self._task, None
            trio.lowlevel.reschedule(task)

    # ------------------------------------------------------------ the channel's

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Wait for bytes that end a record."""
        if self._fast:
            await self._read_on()
        elif not (self._whole or self._ended or self._error is not None):
            await self._wait()
        if self._descriptor < 0:
            raise trio.ClosedResourceError("the stream was closed")
        if self._error is not None:
            raise trio.BrokenResourceError("the connection broke") from self._error
        most = len(self._held) if max_bytes is None else max_bytes
        data, self._held = self._held[:most], self._held[most:]
        self._whole = bool(self._held)
        return data

    async def _read_on(self) -> None:
        """On a fast line nothing is gathered."""
        data = await self.inner.receive_some(READ_BYTES)
        self._take(bytes(data))

    async def _wait(self) -> None:
        """Until the gatherer has read enough."""

        def abort(_raise: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        if self._descriptor >= 0:
            self._task = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(abort)

    def write(self, data: bytes | bytearray | memoryview, *, more: bool = False) -> int:
        """Write what the kernel takes at once; how many bytes that is.

        Args:
            data: What.
            more: The last segment may wait for what follows, up to 0.2 s, if it is not full.

        Raises:
            BrokenResourceError: The connection broke.
            ClosedResourceError: It was closed.
        """
        if self._descriptor < 0:
            raise trio.ClosedResourceError("the stream was closed")
        try:
            if more:
                self._cork(on=True)
            return os.write(self._descriptor, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise trio.BrokenResourceError("the connection broke") from error
        finally:
            if not more:
                self._cork(on=False)

    def _cork(self, *, on: bool) -> None:
        """Hold back a last segment that is not full, or let it go."""
        if on != self._corked and self._tcp and CORK is not None:
            self._corked = on
            with suppress(OSError):  # it broke a moment ago
                self.inner.socket.setsockopt(socket.IPPROTO_TCP, CORK, on)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write at once what the kernel takes, and the rest when it takes more."""
        await trio.lowlevel.checkpoint_if_cancelled()
        sent = self.write(data)
        if sent < len(data):
            await self.inner.send_all(memoryview(data)[sent:])

    async def wait_send_all_might_not_block(self) -> None:
        """As the socket says."""
        await self.inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the socket."""
        self._gatherer.forget(self, self._descriptor)
        self._descriptor = -1
        self._wake()
        await self.inner.aclose()


def _tick(now: float, seconds: float) -> float:
    """The tick that is nearest to ``seconds`` from now: half of that at least."""
    return round(now / seconds + 1) * seconds
