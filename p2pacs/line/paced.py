"""Channels on the paced line: what they send and read is counted in the line's budgets."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from typing import Final

import trio

from p2pacs.limits import KIB
from p2pacs.line import tcpinfo
from p2pacs.line.hop_echo import Route
from p2pacs.line.meter import IPV4_HEADER, IPV6_HEADER, Incoming, Look, Outgoing
from p2pacs.line.pacer import Pacer
from p2pacs.wire.channel.prompt import PromptStream

UNSENT_BYTES: Final = 16 * KIB
"""The kernel takes no more before it has sent something: the queue is ours, not the kernel's."""

SEND_BUFFER: Final = 32 * KIB
"""Least kernel send buffer of a paced link: two blocks, so that one rarely waits for the
acknowledgement of the last one. With 64 KiB what a slow link had kept left at once with the blocks
of others, and the modem's queue overflowed."""

SEND_SECONDS: Final = 0.25
"""Seconds of the uplink's rate that it has: several round trips."""

RECEIVE_BUFFER: Final = 32 * KIB
"""Least kernel receive buffer of a paced link, so that the sender feels the pace promptly ..."""

RECEIVE_SECONDS: Final = 0.3
"""... and so many seconds of the downlink's rate: round trips and batches."""

BUFFER_MOST: Final = 128 * KIB
"""On a line that needs more the kernel chooses: it might not give as much as is asked for."""

CONGESTION_CONTROL: Final = b"cubic"
"""After a pause it begins with ten segments (RFC 6928, RFC 9438): at the line's own pace they last
longer than a round trip, so it never waits. BBR estimates the rate of each link anew from what the
others left to it, and holds back what the budget counts as sent; what it sent late stood in the
modem's queue (docs/swarm.md, "The line")."""

SHAPE_CHANGE: Final = 0.25
"""Buffers are chosen anew for a rate that differs by more than this part."""

SO_MAX_PACING_RATE: Final = 47
"""Linux's asm-generic/socket.h; Python has no name for it."""


class _Uplink:
    """The outgoing half of a paced stream."""

    def __init__(self, pacer: Pacer, sock: trio.socket.SocketType | None) -> None:
        self.meter = Outgoing(pacer.overhead, _ip_header(sock) if sock else IPV4_HEADER)
        self._pacer = pacer
        self._sock = sock
        self._bounded = False
        self._shaped_for = 0.0
        """The rate by which its buffers were chosen last."""
        if sock is not None:
            pacer.add(self, Route.of(sock))

    def charge(self, size: float) -> None:
        if size:
            self._pacer.charge(size)
        self._pacer.touched(self)

    def look(self, now: float) -> Look:
        info = tcpinfo.read(self._sock) if self._sock else None
        return self.meter.look(info, now) if info else Look()

    def paced(self, rate: float) -> None:
        if self._sock is not None and rate > 0:  # control messages go out of a closed line, too
            with suppress(OSError):  # it broke a moment ago
                self.meter.paced(rate)
                if abs(rate - self._shaped_for) > SHAPE_CHANGE * self._shaped_for:
                    self._bounded = shape(self._sock, rate, bounded=self._bounded)
                    self._shaped_for = rate
                else:
                    space(self._sock, rate)

    def close(self) -> None:
        info = tcpinfo.read(self._sock) if self._sock else None
        self._pacer.charge(self.meter.close(info))
        self._pacer.remove(self)


class _Downlink:
    """The incoming half of a paced stream."""

    def __init__(self, pacer: Pacer, sock: trio.socket.SocketType | None) -> None:
        self.meter = Incoming(pacer.overhead, _ip_header(sock) if sock else IPV4_HEADER)
        self._pacer = pacer
        self._sock = sock
        if sock is not None:
            pacer.add(self)

    async def ready(self) -> None:
        await self._pacer.ready()

    def charge(self, size: float) -> None:
        self._pacer.charge(size)
        self._pacer.touched(self)

    def look(self, now: float) -> Look:
        info = tcpinfo.read(self._sock) if self._sock else None
        return self.meter.look(info) if info else Look()

    def paced(self, rate: float) -> None:
        if self._sock is not None:
            with suppress(OSError):
                shorten_receiving(self._sock, rate)

    def close(self) -> None:
        self._pacer.remove(self)


class PacedStream(PromptStream):
    """A channel on the paced line.

    Reading waits for the downlink's budget, so that TCP holds the sender back; nothing is
    dropped. Writing never waits here (it would hold up control messages): what may wait, waits
    for the uplink's budget before it is written and is *prepaid*; the rest is charged at once.
    """

    def __init__(
        self,
        inner: trio.abc.Stream,
        up: Pacer | None,
        down: Pacer | None,
        sock: trio.socket.SocketType | None = None,
    ) -> None:
        """A stream that shares the budgets.

        Args:
            inner: The channel.
            up: The uplink's budget; None: not paced.
            down: The downlink's.
            sock: Under the channel, to ask what was really sent; without it, estimates count.
        """
        self.inner = inner
        self._prompt = inner if isinstance(inner, PromptStream) and inner.prompt else None
        self._up = _Uplink(up, sock) if up is not None else None
        self._down = _Downlink(down, sock) if down is not None else None

    @property
    def uplink(self) -> bool:
        """Whether the uplink is paced."""
        return self._up is not None

    def prepay(self, size: int) -> None:
        """``size`` payload bytes are about to be written for which the uplink waited."""
        if self._up is not None:
            self._up.charge(self._up.meter.prepay(size))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write; what was not prepaid is charged."""
        self._charge(len(data))
        await self.inner.send_all(data)
        self._written()

    def _charge(self, size: int) -> None:
        if self._down is not None:
            self._down.charge(self._down.meter.write(size))
        if self._up is not None:
            self._up.charge(self._up.meter.write(size))

    def _written(self) -> None:
        if self._up is not None:
            self._up.meter.written()

    @property
    def prompt(self) -> bool:
        """Whether the channel takes bytes at once."""
        return self._prompt is not None

    def write(self, data: bytes, *, more: bool = False) -> bool:
        """Write at once; what was not prepaid is charged."""
        self._charge(len(data))
        whole = self._prompt is not None and self._prompt.write(data, more=more)
        if whole:
            self._written()
        return whole

    async def flush(self) -> None:
        """Write the rest."""
        if self._prompt is not None:
            await self._prompt.flush()
        self._written()

    async def wait_send_all_might_not_block(self) -> None:
        """As the channel says."""
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Read when the downlink has budget."""
        if self._down is not None:
            await self._down.ready()
        data = await self.inner.receive_some(max_bytes)
        if self._down is not None:
            self._down.charge(self._down.meter.received(len(data)))
        if self._up is not None:
            self._up.charge(self._up.meter.received(len(data)))
        return data

    async def aclose(self) -> None:
        """Close the channel."""
        for half in (self._up, self._down):
            if half is not None:
                half.close()
        await self.inner.aclose()


def _ip_header(sock: trio.socket.SocketType) -> int:
    """Bytes of the IP header of a connection's packets."""
    try:
        host: str = sock.getpeername()[0]
    except OSError:
        return IPV4_HEADER
    return IPV6_HEADER if ":" in host and not host.startswith("::ffff:") else IPV4_HEADER


def shape(sock: trio.socket.SocketType, rate: float, *, bounded: bool) -> bool:
    """A short kernel queue, from which segments leave one by one at the line's rate.

    Else those of a block would stand in the modem's queue together, and whatever else the
    hospital sends behind them.

    Args:
        sock: A connection over the line.
        rate: The line's, in bytes a second.
        bounded: Whether its send buffer was bounded before: the kernel will not choose again.

    Returns:
        Whether its send buffer is bounded now.
    """
    size = max(SEND_BUFFER, int(rate * SEND_SECONDS))
    if bounded or size <= BUFFER_MOST:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        bounded = True
    if sys.platform == "linux":
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        space(sock, rate)
        with suppress(OSError):  # not loaded, or not allowed: the system's own
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION_CONTROL)
    return bounded


def space(sock: trio.socket.SocketType, rate: float) -> None:
    """Segments leave one by one at this rate, in bytes a second."""
    if sys.platform == "linux":
        sock.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, int(rate))


def shorten_receiving(sock: trio.socket.SocketType, rate: float) -> None:
    """A short kernel buffer, so that the other end feels promptly how fast this one reads."""
    size = max(RECEIVE_BUFFER, int(rate * RECEIVE_SECONDS))
    if size <= BUFFER_MOST:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
