"""The network addresses of this machine: what a browser may be pointed to.

Linux tells all of them. Elsewhere it is those that packets to the rest of the world leave from,
one of IPv4 and one of IPv6; further ones have to be named in the settings.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

from p2pacs.own_interfaces import all_interfaces

_ELSEWHERE: Final = (
    (socket.AF_INET, "198.51.100.1"),
    (socket.AF_INET6, "2001:db8::1"),
)
"""Documentation addresses (RFC 5737, RFC 3849): a route to them is looked up, nothing is sent."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def machine_addresses() -> tuple[str, ...]:
    """Addresses at which others can reach this machine, and loopback."""
    found = [*_loopback(), *(one.ip for one in all_interfaces()), *_routes()]
    return tuple(dict.fromkeys(str(address) for address in reachable(found)))


def machine_names() -> tuple[str, ...]:
    """What others can call this machine: its name, and its addresses."""
    return (socket.gethostname(), "localhost", *machine_addresses())


def reachable(addresses: Iterable[Address]) -> Iterator[Address]:
    """Those that can stand in an address bar: link-local ones need a zone, which cannot."""
    for address in addresses:
        if not (address.is_link_local or address.is_multicast or address.is_unspecified):
            yield address


def _loopback() -> Iterator[Address]:
    yield ipaddress.IPv4Address("127.0.0.1")
    yield ipaddress.IPv6Address("::1")


def _routes() -> Iterator[Address]:
    for family, elsewhere in _ELSEWHERE:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            yield ipaddress.ip_address(probe.getsockname()[0])
