"""Asking the routers on the way: UDP with a small TTL, and the ICMP errors that come of it.

Linux keeps those in the socket's error queue (IP_RECVERR), for which nobody needs privileges. Other
systems have no such queue: there nothing is asked. Packets go towards members alone to whom there
is a link over the line; a router is asked by an echo (a ping socket, where the administrator of the
machine allows them: ``net.ipv4.ping_group_range``) only once it has answered and is sparing.
"""

from __future__ import annotations

import random
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from ipaddress import IPv6Address, ip_address
from typing import Final, Protocol

import trio
from attrs import frozen

from p2pacs.line import icmp_error
from p2pacs.line.hop_trips import HopTrips, Probe
from p2pacs.line.meter import IPV4_HEADER, IPV6_HEADER

UDP_HEADER: Final = 8
ECHO_HEADER: Final = 8

JITTER: Final = 0.25
"""A probe is earlier or later by this part of the interval: what comes in step with others' packets
(or ours) would see the same moment of the queue each time."""

IDLE_SECONDS: Final = 2.0
"""A line that was not used for so long is not asked about."""

RETRY_SECONDS: Final = 30.0
"""Where no socket could be had."""

LATE_MOST: Final = 1.0
"""A kernel's time stamp that is older is of another clock: the wall clock was set meanwhile."""

_READ_BYTES: Final = 1024
"""Of a packet that came of a probe: more than the headers that are looked at."""

_MANY: Final = 64
"""Read at once at most: whoever floods the socket must not hold up the others."""

_ECHO: Final = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}
"""Types of an echo and its reply (RFC 792, RFC 4443)."""

_ECHO_HEADER: Final = struct.Struct("!BBHHH")


@frozen
class Route:
    """The two ends of a link over the line."""

    local: str
    remote: str

    @classmethod
    def of(cls, sock: trio.socket.SocketType) -> Route | None:
        """The ends of a connection; None if it is closed, or leaves no further than a router."""
        try:
            local, remote = sock.getsockname()[0], sock.getpeername()[0]
        except OSError:
            return None
        try:
            ends = _plain(local), _plain(remote)
        except ValueError:  # not of the Internet
            return None
        there = ip_address(ends[1])
        if there.is_loopback or there.is_link_local or there.is_multicast:
            return None
        return cls(*ends)

    @property
    def family(self) -> socket.AddressFamily:
        """IPv4 or IPv6."""
        return socket.AF_INET6 if ":" in self.remote else socket.AF_INET


def _plain(host: str) -> str:
    address = ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


class ProbedLine(Protocol):
    """The line whose queue is asked about."""

    poll: Callable[[], None] | None
    """To be called before it is looked what the queue is, about ten times a second: the kernel says
    when an answer came, so nobody has to be woken for each. (Questions have a timer of their own:
    asked then, each would stand behind a block of ours, and see more of a queue than there is.)"""

    async def used(self) -> None:
        """Until something goes over it."""

    def route(self, seconds: float) -> Route | None:
        """A link that something went over in the last seconds; None if nothing did."""

    def charge(self, size: float) -> None:
        """These bytes go over it now."""


async def watch_queue(line: ProbedLine, hops: HopTrips) -> None:
    """Ask routers while the line is used, until cancelled.

    Args:
        line: Whose queue it is.
        hops: Says whom to ask, and is told what came.
    """
    if sys.platform != "linux":
        return
    before = None
    while True:
        await line.used()
        route = line.route(IDLE_SECONDS)
        if route is None:
            await trio.sleep(IDLE_SECONDS)
            continue
        if route.local != before:  # another interface: another line
            hops.search()
            before = route.local
        try:
            with _sockets(route) as prober:
                hops.may_echo = prober.echoes
                await prober.run(line, hops)
        except OSError:  # refused by a firewall or a sandbox, or the address is gone
            await trio.sleep(RETRY_SECONDS)


@contextmanager
def _sockets(route: Route) -> Iterator[_Prober]:
    with ExitStack() as stack:
        udp = stack.enter_context(socket.socket(route.family, socket.SOCK_DGRAM))
        udp.setblocking(False)
        udp.setsockopt(socket.SOL_SOCKET, icmp_error.SO_TIMESTAMPNS, 1)
        if route.family == socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, icmp_error.IPV6_RECVERR, 1)
        else:
            udp.setsockopt(socket.IPPROTO_IP, icmp_error.IP_RECVERR, 1)
        udp.bind((route.local, 0))
        yield _Prober(route, udp, _ping_socket(stack, route))


def _ping_socket(stack: ExitStack, route: Route) -> socket.socket | None:
    protocol = socket.IPPROTO_ICMPV6 if route.family == socket.AF_INET6 else socket.IPPROTO_ICMP
    try:
        ping = stack.enter_context(socket.socket(route.family, socket.SOCK_DGRAM, protocol))
    except OSError:  # net.ipv4.ping_group_range does not name this program's group
        return None
    ping.setblocking(False)
    ping.setsockopt(socket.SOL_SOCKET, icmp_error.SO_TIMESTAMPNS, 1)
    ping.bind((route.local, 0))
    return ping


class _Prober:
    """The sockets of one local address."""

    def __init__(self, route: Route, udp: socket.socket, ping: socket.socket | None) -> None:
        self._route = route
        self._udp = udp
        self._ping = ping
        self._header = IPV6_HEADER if route.family == socket.AF_INET6 else IPV4_HEADER

    @property
    def echoes(self) -> bool:
        """Whether a router can be asked by an echo."""
        return self._ping is not None

    async def run(self, line: ProbedLine, hops: HopTrips) -> None:
        """Ask until the line idles, or is another; what came is read whenever the line polls."""
        line.poll = partial(self._read, hops)
        try:
            while (route := line.route(IDLE_SECONDS)) and route.local == self._route.local:
                self._read(hops)  # nothing counts as lost that is here already
                now = trio.current_time()
                for probe in hops.probes(now):
                    line.charge(self._send(probe, route.remote))
                jitter = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 (no secret)
                await trio.sleep(hops.interval(now) * jitter)
        finally:
            line.poll = None

    def _read(self, hops: HopTrips) -> None:
        self._read_errors(hops)
        if self._ping is not None:
            self._read_echoes(self._ping, hops)

    def _send(self, probe: Probe, towards: str) -> float:
        """Send it; the bytes that this takes of the line. One that cannot be sent is lost."""
        if probe.echo is not None and self._ping is not None:
            kind, _ = _ECHO[self._route.family]
            echo = _ECHO_HEADER.pack(kind, 0, 0, 0, probe.port)  # the kernel fills in the rest
            with suppress(OSError):
                self._ping.sendto(echo, (probe.echo, 0))
            return self._header + ECHO_HEADER
        if self._route.family == socket.AF_INET6:
            self._udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, probe.ttl)
        else:
            self._udp.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, probe.ttl)
        try:
            self._udp.sendto(b"", (towards, probe.port))
        except OSError:  # an error about an earlier one, told once: this one was not sent
            with suppress(OSError):
                self._udp.sendto(b"", (towards, probe.port))
        return self._header + UDP_HEADER

    def _read_errors(self, hops: HopTrips) -> None:
        if sys.platform != "linux":  # `watch_queue` asks nothing there
            return
        for _ in range(_MANY):
            try:
                _, ancillary, _, asked = self._udp.recvmsg(
                    _READ_BYTES, icmp_error.ANCILLARY_BYTES, socket.MSG_ERRQUEUE
                )
            except OSError:
                return
            error = icmp_error.parse(ancillary)
            if error is not None and asked:
                self._told(error, int(asked[1]), _arrival(ancillary), hops)

    @staticmethod
    def _told(error: icmp_error.IcmpError, port: int, arrival: float, hops: HopTrips) -> None:
        if error.exceeded:
            hops.answered(port, error.address, arrival)
        elif error.reached:
            hops.reached(port)

    def _read_echoes(self, ping: socket.socket, hops: HopTrips) -> None:
        if sys.platform != "linux":  # as above
            return
        _, reply = _ECHO[self._route.family]
        for _ in range(_MANY):
            try:
                data, ancillary, _, source = ping.recvmsg(_READ_BYTES, icmp_error.ANCILLARY_BYTES)
            except OSError:
                return
            if len(data) >= _ECHO_HEADER.size and data[0] == reply:
                *_, number = _ECHO_HEADER.unpack_from(data)
                hops.answered(number, str(source[0]), _arrival(ancillary))


def _arrival(ancillary: icmp_error.Ancillary) -> float:
    """When the kernel had it, on trio's clock: this program may have been late to look."""
    stamp = icmp_error.came_at(ancillary)
    late = 0.0 if stamp is None else time.time() - stamp
    return trio.current_time() - (late if 0 <= late <= LATE_MOST else 0.0)
