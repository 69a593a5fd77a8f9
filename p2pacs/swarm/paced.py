"""The line of this host: one budget each way over all paced links, counted in wire bytes."""

from __future__ import annotations

import ipaddress
import socket
import sys
from typing import Final

import trio
from attrs import frozen

from p2pacs.limits import KIB
from p2pacs.swarm.pacing import TLS_OVER_TCP, Overhead, TokenBucket

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

BURST_SECONDS: Final = 0.02
"""A budget saves up at most this much: more would stand in the modem's queue ..."""

BURST_BYTES: Final = 4 * KIB
"""... but a timer that is late must not cost throughput."""

READ_BYTES: Final = 16 * KIB
"""A paced reader takes at most one TLS record at a time."""

SEND_BUFFER: Final = 16 * KIB
"""Least kernel send buffer of a paced link: the queue is ours, not the kernel's."""

RECEIVE_BUFFER: Final = 32 * KIB
"""Least kernel receive buffer of a paced link, so that the sender feels the pace promptly."""

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

    def is_lan(self, host: str) -> bool:
        """Whether a network address is on this side of the line."""
        address = ipaddress.ip_address(host.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self.lan)


class Pacer:
    """A token bucket on trio's clock."""

    def __init__(self, bits: int, overhead: Overhead = TLS_OVER_TCP) -> None:
        """A full bucket.

        Args:
            bits: Bits a second.
            overhead: What the transport adds to what is written.
        """
        self.overhead = overhead
        rate = bits / 8
        burst = max(BURST_BYTES, rate * BURST_SECONDS)
        self._bucket = TokenBucket(rate, burst=burst, now=trio.current_time())

    @property
    def rate(self) -> float:
        """Bytes a second."""
        return self._bucket.rate

    def charge(self, size: float) -> None:
        """These bytes go over the line now."""
        self._bucket.charge(size, trio.current_time())

    async def ready(self) -> None:
        """Until the line is free."""
        delay = self._bucket.delay(trio.current_time())
        while delay:  # others may have used the line meanwhile
            await trio.sleep(delay)
            delay = self._bucket.delay(trio.current_time())


class PacedStream(trio.abc.Stream):
    """A channel on the paced line.

    Reading waits for the downlink's budget, so that TCP holds the sender back; nothing is
    dropped. Writing never waits here (it would hold up control messages): what may wait, waits
    for the uplink's budget before it is written and is *prepaid*; the rest is charged at once.
    """

    def __init__(self, inner: trio.abc.Stream, up: Pacer | None, down: Pacer | None) -> None:
        self.inner = inner
        self._up = up
        self._down = down
        self._prepaid = 0

    @property
    def uplink(self) -> bool:
        """Whether the uplink is paced."""
        return self._up is not None

    def prepay(self, size: int) -> None:
        """``size`` payload bytes are about to be written for which the uplink waited."""
        if self._up is not None:
            wire = self._up.overhead.wire_bytes(size)
            self._up.charge(wire)
            self._prepaid += wire

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write; what was not prepaid is charged."""
        size = len(data)
        if self._up is not None:
            wire = self._up.overhead.wire_bytes(size)
            used = min(wire, self._prepaid)
            self._prepaid -= used
            if wire > used:
                self._up.charge(wire - used)
        if self._down is not None:
            self._down.charge(self._down.overhead.ack_bytes(size))
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As the channel says."""
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Read when the downlink has budget."""
        if self._down is None:
            data = await self.inner.receive_some(max_bytes)
        else:
            await self._down.ready()
            data = await self.inner.receive_some(min(max_bytes or READ_BYTES, READ_BYTES))
            self._down.charge(self._down.overhead.wire_bytes(len(data)))
        if self._up is not None:
            self._up.charge(self._up.overhead.ack_bytes(len(data)))
        return data

    async def aclose(self) -> None:
        """Close the channel."""
        await self.inner.aclose()


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
