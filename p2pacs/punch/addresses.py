"""Which addresses that another member offers may be dialled. Pure: no clock, no I/O.

A member must not make others dial strangers. What it offers is signed by it, and the neighbour
that introduces the two says at which address it sees each of them: over the Internet only that
address is dialled, so it takes both of them to lie. Inside one's own networks only, what is
offered by somebody whom the neighbour sees at one's own outer address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable
from enum import IntEnum
from typing import Final

from attrs import frozen

from p2pacs.errors import UsageError
from p2pacs.limits import CANDIDATES
from p2pacs.units import Endpoint, IPNetwork

LEAST_PORT: Final = 1024
"""No program's outgoing connections have a lower one, and no router gives one: what listens there
are services."""

IPV6_DIALLED: Final = 2
"""Offered IPv6 addresses that the neighbour does not see, as it was reached by IPv4."""

HostAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Nearness(IntEnum):
    """How a member would be reached; the nearest first."""

    LAN = 0
    IPV6 = 1
    OUTER = 2


@frozen
class Target:
    """An address that is dialled."""

    way: Nearness
    endpoint: Endpoint


@frozen
class Surroundings:
    """What this host knows of where it is."""

    own: Collection[str]
    """Addresses of its interfaces."""
    networks: Collection[IPNetwork]
    """The networks on them, and those that its settings call its LAN."""
    members: Collection[str]
    """Addresses that the directory names for others: they are dialled there or not at all."""


def literal(text: str) -> Endpoint | None:
    """The endpoint in a text if it is an address (no name) that may be a member's, else None.

    Neither loopback nor link-local, multicast, unspecified or reserved addresses may.
    """
    try:
        endpoint = Endpoint.parse(text)
        address = address_of(endpoint.host)
    except (UsageError, ValueError):
        return None
    unfit = (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address.is_reserved
        or address == ipaddress.IPv4Address(0xFFFFFFFF)
    )
    if unfit or endpoint.port < LEAST_PORT:
        return None
    return Endpoint(str(address), endpoint.port)


def address_of(host: str) -> HostAddress:
    """An address without zone, IPv4 where it is mapped into IPv6 (RFC 4291, 2.5.5.2).

    Raises:
        ValueError: not an address.
    """
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def same_host(one: str, other: str) -> bool:
    """Whether two endpoints, as a neighbour sees them, have one address: one router, mostly."""
    first, second = literal(one), literal(other)
    return first is not None and second is not None and first.host == second.host


def targets(offered: Iterable[str], seen: str, mine: str, around: Surroundings) -> list[Target]:
    """What to dial, the nearest first.

    Args:
        offered: By the other member, signed.
        seen: Where the neighbour sees it.
        mine: Where the neighbour sees this host.
        around: Where this host is.
    """
    outer, together = literal(seen), same_host(seen, mine)
    found: dict[Endpoint, Nearness] = {}
    for text in list(offered)[:CANDIDATES]:
        endpoint = literal(text)
        if endpoint is None or endpoint.host in around.own:
            continue
        way = _way(endpoint, outer, around, together=together)
        if way is not None:
            found[endpoint] = way
    ipv6 = [one for one, way in found.items() if way is Nearness.IPV6][IPV6_DIALLED:]
    ordered = sorted(found.items(), key=lambda item: item[1])
    return [Target(way, endpoint) for endpoint, way in ordered if endpoint not in ipv6]


def _way(
    endpoint: Endpoint, outer: Endpoint | None, around: Surroundings, *, together: bool
) -> Nearness | None:
    """How an offered address may be dialled; None: it may not."""
    address = ipaddress.ip_address(endpoint.host)
    if together and any(address in network for network in around.networks):
        return Nearness.LAN
    if endpoint.host in around.members and not together:
        return None
    if outer is not None and endpoint.host == outer.host:
        return Nearness.OUTER
    if address.version == 6 and address.is_global and _speaks_ipv6(around.own):
        return Nearness.IPV6
    return None


def _speaks_ipv6(own: Iterable[str]) -> bool:
    addresses = map(ipaddress.ip_address, own)
    return any(one.version == 6 and one.is_global for one in addresses)
