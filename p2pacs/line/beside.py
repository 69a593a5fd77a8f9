"""Whether an address is beside this machine: on its own Ethernet, with no router on the way.

What goes there does not use the access line, so where nobody named the networks of the LAN
(`Line.lan`) the kernel's routing table tells them (rtnetlink(7), for which nobody needs
privileges). Point-to-point interfaces (PPP, tunnels) have no router on the way either, but are
lines. Other systems than Linux are asked nothing: there loopback alone is beside.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Final

from attrs import frozen

_HEADER: Final = struct.Struct("=IHHII")
"""``nlmsghdr``: length, type, flags, number, sender."""

_ROUTE: Final = struct.Struct("=BBBBBBBBI")
"""``rtmsg``: family, bits of the destination, ..., the eighth is the type."""

_ATTRIBUTE: Final = struct.Struct("=HH")
"""``rtattr``: length, itself included, and type; padded to four bytes."""

_LINK: Final = struct.Struct("=BxHiII")
"""``ifinfomsg``: family, kind, number and flags of an interface, and which flags change."""

_NEW_LINK: Final = 16
_GET_LINK: Final = 18
_NEW_ROUTE: Final = 24
_GET_ROUTE: Final = 26
_REQUEST: Final = 1
_NETLINK_ROUTE: Final = 0
_DESTINATION: Final = 1
_DEVICE: Final = 4
_GATEWAYS: Final = frozenset({5, 18})
"""``RTA_GATEWAY``, and ``RTA_VIA``: one of the other family."""

_LOCAL: Final = 2
"""``RTN_LOCAL``: an address of this machine."""

_POINT_TO_POINT: Final = 0x10
_NO_ARP: Final = 0x80
"""``IFF_POINTOPOINT`` and ``IFF_NOARP`` (netdevice(7))."""

_ANSWER_BYTES: Final = 4096
_SECONDS: Final = 0.01
"""The kernel answers within the call that asks it; who waits longer would hold up others."""

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@frozen
class FoundRoute:
    """What the kernel says of the way to an address."""

    local: bool
    """Whether it is this machine's own."""
    gateway: bool
    """Whether a router is on the way."""
    device: int
    """Number of the interface."""


def is_beside(address: IPAddress) -> bool:
    """Whether no router and no tunnel is on the way; False where nobody tells."""
    if address.is_loopback:
        return True
    try:
        route = parse_route(_ask(_GET_ROUTE, _towards(address)))
        if route is None or route.gateway:
            return False
        return route.local or not is_point_to_point(_ask(_GET_LINK, _interface(route.device)))
    except OSError:  # no such route, not Linux, or a service that may not ask by netlink
        return False


def parse_route(answer: bytes) -> FoundRoute | None:
    """The route in the kernel's answer; None if it tells of none."""
    if len(answer) < _HEADER.size + _ROUTE.size:
        return None
    length, kind, *_ = _HEADER.unpack_from(answer)
    if kind != _NEW_ROUTE:
        return None
    route_type = _ROUTE.unpack_from(answer, _HEADER.size)[7]
    attributes = dict(_attributes(answer[_HEADER.size + _ROUTE.size : length]))
    device = attributes.get(_DEVICE, b"")
    gateway = not _GATEWAYS.isdisjoint(attributes)
    return FoundRoute(route_type == _LOCAL, gateway, int.from_bytes(device, sys.byteorder))


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind, data[_ATTRIBUTE.size : length]
        data = data[-(-length // 4) * 4 :]


def is_point_to_point(answer: bytes) -> bool:
    """Whether an interface has one other end, or no addresses of Ethernet's kind."""
    if len(answer) < _HEADER.size + _LINK.size or _HEADER.unpack_from(answer)[1] != _NEW_LINK:
        return True
    flags = _LINK.unpack_from(answer, _HEADER.size)[3]
    return bool(flags & (_POINT_TO_POINT | _NO_ARP))


def _towards(address: IPAddress) -> bytes:
    packed = address.packed
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    route = _ROUTE.pack(family, 8 * len(packed), 0, 0, 0, 0, 0, 0, 0)
    return route + _ATTRIBUTE.pack(_ATTRIBUTE.size + len(packed), _DESTINATION) + packed


def _interface(number: int) -> bytes:
    return _LINK.pack(socket.AF_UNSPEC, 0, number, 0, 0)


def _ask(kind: int, body: bytes) -> bytes:
    """The kernel's answer.

    Raises:
        OSError: it may not be asked.
    """
    if sys.platform != "linux":
        raise OSError("only Linux tells")
    header = _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE) as netlink:
        netlink.settimeout(_SECONDS)
        netlink.bind((0, 0))
        netlink.sendto(header + body, (0, 0))
        return netlink.recv(_ANSWER_BYTES)
