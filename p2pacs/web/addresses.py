"""The network addresses of this machine: what a browser may be pointed to.

Linux tells all of them. Elsewhere it is those that packets to the rest of the world leave from,
one of IPv4 and one of IPv6; further ones have to be named in the settings.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_SIOCGIFADDR: Final = 0x8915
"""Ask for the address of an interface (netdevice(7))."""

_IFREQ: Final = struct.Struct("16s24x")
_ADDRESS: Final = slice(20, 24)
"""Of the answer: after the name (16 bytes), family and port of a ``sockaddr_in``."""

_IF_INET6: Final = Path("/proc/self/net/if_inet6")

_ELSEWHERE: Final = (
    (socket.AF_INET, "198.51.100.1"),
    (socket.AF_INET6, "2001:db8::1"),
)
"""Documentation addresses (RFC 5737, RFC 3849): a route to them is looked up, nothing is sent."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def machine_addresses() -> tuple[str, ...]:
    """Addresses at which others can reach this machine, and loopback."""
    found = [*_loopback(), *_interfaces(), *_routes()]
    return tuple(dict.fromkeys(str(address) for address in reachable(found)))


def machine_names() -> tuple[str, ...]:
    """What others can call this machine: its name, and its addresses."""
    return (socket.gethostname(), "localhost", *machine_addresses())


def reachable(addresses: Iterable[Address]) -> Iterator[Address]:
    """Those that can stand in an address bar: link-local ones need a zone, which cannot."""
    for address in addresses:
        if not (address.is_link_local or address.is_multicast or address.is_unspecified):
            yield address


def parse_if_inet6(text: str) -> Iterator[Address]:
    """The addresses in Linux's table of IPv6 addresses: hexadecimal, first on each line."""
    for line in text.splitlines():
        with suppress(ValueError):
            yield ipaddress.IPv6Address(bytes.fromhex(line.partition(" ")[0]))


def _loopback() -> Iterator[Address]:
    yield ipaddress.IPv4Address("127.0.0.1")
    yield ipaddress.IPv6Address("::1")


def _interfaces() -> Iterator[Address]:
    if sys.platform != "linux":
        return
    import fcntl  # noqa: PLC0415 - not on every system

    try:
        names = socket.if_nameindex()
    except OSError:  # a service that may not ask by netlink
        names = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in names:
            with suppress(OSError):  # an interface without an IPv4 address
                said = fcntl.ioctl(asking, _SIOCGIFADDR, _IFREQ.pack(name.encode()))
                yield ipaddress.IPv4Address(said[_ADDRESS])
    with suppress(OSError):  # no IPv6 here
        yield from parse_if_inet6(_IF_INET6.read_text(encoding="ascii"))


def _routes() -> Iterator[Address]:
    for family, elsewhere in _ELSEWHERE:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            yield ipaddress.ip_address(probe.getsockname()[0])
