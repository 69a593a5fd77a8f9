"""Port Control Protocol: one request and its answer as bytes (RFC 6887, MAP). No I/O.

An answer may come from anybody on the LAN: what is not exactly the answer to this request is None.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from p2pacs.mapping.answers import TCP, UNSUPPORTED_VERSION, Granted, Refused, RouterAddress

PORT: Final = 5351
"""Where routers listen (UDP), for NAT-PMP, too."""

NONCE_BYTES: Final = 12
MOST_BYTES: Final = 1100
"""Of any message (RFC 6887 7)."""

_VERSION: Final = 2
_MAP: Final = 1
_ANSWER: Final = 0x80
_HEADER: Final = struct.Struct("!BBxBIIxxxxxxxxxxxx")
"""Of an answer: version, opcode, result, lifetime, the router's epoch."""

_REQUEST: Final = struct.Struct("!BBxxI16s12sB3xHH16s")
_BODY: Final = struct.Struct("!12sB3xHH16s")
"""Nonce, protocol, inner port, outer port, outer address (RFC 6887 11.1)."""

_ANY: Final[dict[int, RouterAddress]] = {4: IPv4Address("0.0.0.0"), 6: IPv6Address("::")}  # noqa: S104 - no preference


def map_request(nonce: bytes, inner: RouterAddress, port: int, wanted: int, lifetime: int) -> bytes:
    """60 bytes that ask for a mapping, for its renewal, or with a lifetime of 0 for its end.

    Args:
        nonce: `NONCE_BYTES` at random, the same for all requests about one mapping.
        inner: Our address, as the router sees it.
        port: Our port (TCP).
        wanted: The outer port that would be best; 0 for any.
        lifetime: Seconds.
    """
    anywhere = _sixteen(_ANY[inner.version])
    return _REQUEST.pack(
        _VERSION, _MAP, lifetime, _sixteen(inner), nonce, TCP, port, wanted, anywhere
    )


def parse_map(data: bytes, nonce: bytes, port: int) -> Granted | Refused | None:
    """The router's answer to the request with this nonce and port; None if it is none."""
    if len(data) >= 4 and data[0] == 0 and data[1] & _ANSWER:
        return Refused(UNSUPPORTED_VERSION)  # of a router that has NAT-PMP alone
    if not _HEADER.size <= len(data) <= MOST_BYTES or len(data) % 4:
        return None
    version, opcode, code, lifetime, _ = _HEADER.unpack_from(data)
    if opcode == _ANSWER | _MAP and code == UNSUPPORTED_VERSION:
        return Refused(code)
    whole = len(data) >= _HEADER.size + _BODY.size
    if (version, opcode) != (_VERSION, _ANSWER | _MAP) or not whole:
        return None
    *about, outer, address = _BODY.unpack_from(data, _HEADER.size)
    if about != [nonce, TCP, port] or not (code or outer or not lifetime):
        return None
    return Refused(code) if code else Granted(outer, lifetime, _address(address))


def _sixteen(address: RouterAddress) -> bytes:
    """As PCP writes addresses: IPv4 ones mapped into IPv6 (RFC 4291 2.5.5.2)."""
    mapped = IPv6Address(f"::ffff:{address}") if address.version == 4 else address
    return mapped.packed


def _address(data: bytes) -> RouterAddress:
    address = IPv6Address(data)
    return address.ipv4_mapped or address
