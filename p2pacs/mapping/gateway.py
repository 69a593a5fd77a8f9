"""The router that this machine sends to where no other is named: its default gateway.

Linux alone tells it in files; of other systems nothing is known here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final

IPV4_ROUTES: Final = Path("/proc/net/route")
IPV6_ROUTES: Final = Path("/proc/net/ipv6_route")

READ_BYTES: Final = 262_144
"""Of the table of routes: some 2,000; machines with more are routers themselves."""

_USABLE: Final = 0x3
"""``RTF_UP`` and ``RTF_GATEWAY`` (linux/route.h)."""


def default_gateway(routes: Path = IPV4_ROUTES) -> IPv4Address | None:
    """The IPv4 gateway; None if there is none, or nobody tells."""
    return parse_ipv4(_read(routes))


def default_gateway_ipv6(routes: Path = IPV6_ROUTES) -> IPv6Address | None:
    """The IPv6 gateway, with its interface (RFC 4007 11.2); None as above."""
    return parse_ipv6(_read(routes))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(READ_BYTES).decode("ascii", "replace")
    except OSError:
        return ""


def parse_ipv4(text: str) -> IPv4Address | None:
    """The gateway with the least metric out of ``/proc/net/route`` (proc(5))."""
    found = []
    for fields in _numbers(text, words=8, names=(0,)):
        _, target, gateway, flags, _, _, metric, mask = fields
        if target == mask == 0 and flags & _USABLE == _USABLE and gateway < 1 << 32:
            found.append((metric, struct.pack("=I", gateway)))  # as the machine holds it
    return IPv4Address(min(found)[1]) if found else None


def parse_ipv6(text: str) -> IPv6Address | None:
    """The gateway with the least metric out of ``/proc/net/ipv6_route``."""
    found = []
    for line in text.splitlines():
        words = line.split()
        for fields in _numbers(line, words=9, names=()):
            target, length, _, _, gateway, metric, _, _, flags = fields
            usable = target == length == 0 and flags & _USABLE == _USABLE
            if usable and 0 < gateway < 1 << 128 and len(words) == 10:
                found.append((metric, gateway, words[9]))
    if not found:
        return None
    _, gateway, device = min(found)
    address = IPv6Address(gateway)
    return IPv6Address(f"{address}%{device}") if address.is_link_local else address


def _numbers(text: str, words: int, names: tuple[int, ...]) -> Iterator[list[int]]:
    """The first hexadecimal numbers of each line that has so many; names count as 0."""
    for line in text.splitlines():
        fields = line.split()[:words]
        try:
            numbers = [0 if place in names else int(one, 16) for place, one in enumerate(fields)]
        except ValueError:  # the heading
            continue
        if len(numbers) == words:
            yield numbers
