"""The line of this host: one budget each way over all paced links, counted in wire bytes."""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import Final

import trio
from attrs import frozen

from p2pacs.limits import KIB
from p2pacs.swarm import tcpinfo
from p2pacs.swarm.gather import GATHER_SECONDS
from p2pacs.swarm.meter import IPV4_HEADER, IPV6_HEADER, Incoming, Outgoing
from p2pacs.swarm.pacer import Pacer
from p2pacs.swarm.pacing import TLS_OVER_TCP, Overhead

__all__ = ["Line", "PacedStream", "Pacer", "shorten_queues"]

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

UPLINK_SHARE: Final = 0.995
"""Of a configured uplink: all of it would never let a queue drain that was there once."""

DOWN_BURST: Final = 0.25
"""Seconds of the downlink's rate that may be read at once: what is here has used the line."""

SEND_BUFFER: Final = 16 * KIB
"""Least kernel send buffer of a paced link: the queue is ours, not the kernel's."""

RECEIVE_BUFFER: Final = 32 * KIB
"""Least kernel receive buffer of a paced link, so that the sender feels the pace promptly."""

SO_MAX_PACING_RATE: Final = 47
"""Linux's asm-generic/socket.h; Python has no name for it."""

ROUND_TRIP: Final = 0.25
"""Seconds of the line's rate that the kernel may buffer (several round trips)."""


@frozen
class Line:
    """The line of a host.

    A link whose remote network address lies in ``lan`` is not paced.
    """

    uplink: int | None = None
    """Bits a second of wire bytes that go out at most; None: not paced."""
    downlink: int | None = None
    """Bits a second of wire bytes that come in at most; None: not paced."""
    lan: tuple[IPNetwork, ...] = ()
    overhead: Overhead = TLS_OVER_TCP
    """What the transport adds to what is written; simulations on bare lines have none."""
    gather: float = GATHER_SECONDS
    """Seconds between two reads of a paced link; 0: each segment is read as it comes."""

    def pacers(self) -> tuple[Pacer | None, Pacer | None]:
        """The budgets of uplink and downlink; None: not paced."""
        up = Pacer(self.uplink * UPLINK_SHARE, self.overhead) if self.uplink else None
        down = Pacer(self.downlink, self.overhead, burst=DOWN_BURST) if self.downlink else None
        return up, down

    def is_lan(self, host: str) -> bool:
        """Whether a network address is on this side of the line."""
        address = ipaddress.ip_address(host.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self.lan)


class _Uplink:
    """The outgoing half of a paced stream."""

    def __init__(self, pacer: Pacer, sock: trio.socket.SocketType | None) -> None:
        self.meter = Outgoing(pacer.overhead, _ip_header(sock) if sock else IPV4_HEADER)
        self._pacer = pacer
        self._sock = sock
        if sock is not None:
            pacer.add(self)

    def charge(self, size: float) -> None:
        if size:
            self._pacer.charge(size)
        self._pacer.touched(self)

    def correct(self) -> float:
        info = tcpinfo.read(self._sock) if self._sock else None
        return self.meter.correct(info) if info else 0.0

    def paced(self, rate: float) -> None:
        if self._sock is not None:
            space_segments(self._sock, rate)

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

    def correct(self) -> float:
        info = tcpinfo.read(self._sock) if self._sock else None
        return self.meter.correct(info) if info else 0.0

    def paced(self, rate: float) -> None:
        """TCP holds the other end back, when reading does."""

    def close(self) -> None:
        self._pacer.remove(self)


class PacedStream(trio.abc.Stream):
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
        if self._down is not None:
            self._down.charge(self._down.meter.write(len(data)))
        if self._up is None:
            await self.inner.send_all(data)
            return
        self._up.charge(self._up.meter.write(len(data)))
        await self.inner.send_all(data)
        self._up.meter.written()

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


def space_segments(sock: trio.socket.SocketType, rate: float) -> None:
    """Have the kernel send a connection's segments one by one at the line's rate.

    Else those of a block would stand in the modem's queue together, and whatever else the
    hospital sends behind them.
    """
    if sys.platform == "linux":
        least = int(max(rate, 1.0))
        sock.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, least)


def shorten_queues(
    sock: socket.socket | trio.socket.SocketType, up: Pacer | None, down: Pacer | None
) -> None:
    """Small kernel buffers on a paced link, in proportion to the line's rate."""
    if up is not None:
        size = max(SEND_BUFFER, int(up.rate * ROUND_TRIP))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        if sys.platform == "linux":
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, SEND_BUFFER)
    if down is not None:
        size = max(RECEIVE_BUFFER, int(down.rate * ROUND_TRIP))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
