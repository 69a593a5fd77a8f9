"""The addresses of this machine's interfaces, and the networks on them.

Linux tells all of them (one IPv4 address an interface). Elsewhere they are not known: pages find
another way (`p2pacs.web.addresses`), and members offer none (`p2pacs.punch`).
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_SIOCGIFADDR: Final = 0x8915
_SIOCGIFNETMASK: Final = 0x891B
"""Ask for an interface's address, and its netmask (netdevice(7))."""

_IFREQ: Final = struct.Struct("16s24x")
_ADDRESS: Final = slice(20, 24)
"""Of the answer: after the name (16 bytes), family and port of a ``sockaddr_in``."""

_IF_INET6: Final = Path("/proc/self/net/if_inet6")

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def interfaces() -> tuple[Interface, ...]:
    """Addresses, with their networks, that are neither loopback nor link-local."""
    found = all_interfaces()
    return tuple(one for one in found if not (one.ip.is_loopback or one.ip.is_link_local))


def parse_if_inet6(text: str) -> Iterator[ipaddress.IPv6Interface]:
    """Linux's table of IPv6 addresses: address, index and length of the prefix, all hexadecimal."""
    for line in text.splitlines():
        with suppress(ValueError, IndexError):
            address, _, length = line.split()[:3]
            packed = ipaddress.IPv6Address(bytes.fromhex(address))
            yield ipaddress.IPv6Interface((packed, int(length, 16)))


def all_interfaces() -> Iterator[Interface]:
    """Addresses with their networks, loopback and link-local ones, too; none but on Linux."""
    if sys.platform != "linux":
        return
    import fcntl  # noqa: PLC0415 - not on every system

    try:
        names = [name for _, name in socket.if_nameindex()]
    except OSError:  # a service that may not ask by netlink
        names = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for name in names:
            with suppress(OSError):  # an interface without an IPv4 address
                request = _IFREQ.pack(name.encode())
                said = fcntl.ioctl(asking, _SIOCGIFADDR, request)[_ADDRESS]
                mask = fcntl.ioctl(asking, _SIOCGIFNETMASK, request)[_ADDRESS]
                yield ipaddress.IPv4Interface(
                    f"{ipaddress.IPv4Address(said)}/{ipaddress.IPv4Address(mask)}"
                )
    with suppress(OSError):  # no IPv6 here
        yield from parse_if_inet6(_IF_INET6.read_text(encoding="ascii"))
