"""What a router says of a port that it was asked to map, whichever way it was asked."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from attrs import frozen

RouterAddress = IPv4Address | IPv6Address

TCP = 6
"""IANA's number of the protocol that is mapped."""

UNSUPPORTED_VERSION = 1
"""The router speaks the other protocol (RFC 6886 3.5, RFC 6887 7.4)."""


@frozen
class Granted:
    """A mapping that the router made or keeps."""

    port: int
    """The outer one."""
    lifetime: int
    """Seconds."""
    address: RouterAddress | None
    """The outer one; NAT-PMP tells it apart."""


@frozen
class Refused:
    """The router's reason, by number: RFC 6886 3.5 or RFC 6887 7.4."""

    code: int
