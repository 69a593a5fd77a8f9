"""NAT Port Mapping Protocol: requests and answers as bytes (RFC 6886). No I/O.

An answer may come from anybody on the LAN: what is not exactly the answer to this request is None.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import Final

from p2pacs.mapping.answers import Granted, Refused

ADDRESS_REQUEST: Final = bytes(2)
"""Asks for the router's outer address."""

_MAP_TCP: Final = 2
_ANSWER: Final = 0x80
_HEADER: Final = struct.Struct("!BBHI")
"""Version, opcode, result, seconds since the router's start."""

_REQUEST: Final = struct.Struct("!BBxxHHI")
_BODY: Final = struct.Struct("!HHI")
"""Inner port, outer port, lifetime."""


def map_request(port: int, wanted: int, lifetime: int) -> bytes:
    """12 bytes that ask for a mapping, for its renewal, or with a lifetime of 0 for its end.

    Args:
        port: Ours (TCP).
        wanted: The outer port that would be best; 0 at the end.
        lifetime: Seconds.
    """
    return _REQUEST.pack(0, _MAP_TCP, port, wanted, lifetime)


def parse_map(data: bytes, port: int) -> Granted | Refused | None:
    """The router's answer about this port; None if it is none."""
    code = _code(data, _MAP_TCP)
    if code:
        return Refused(code)
    if code is None or len(data) != _HEADER.size + _BODY.size:
        return None
    inner, outer, lifetime = _BODY.unpack_from(data, _HEADER.size)
    told = inner == port and (outer or not lifetime)
    return Granted(outer, lifetime, None) if told else None


def parse_address(data: bytes) -> IPv4Address | Refused | None:
    """The router's outer address; None if this does not tell it."""
    code = _code(data, 0)
    if code:
        return Refused(code)
    if code is None or len(data) != _HEADER.size + 4:
        return None
    return IPv4Address(data[_HEADER.size :])


def _code(data: bytes, opcode: int) -> int | None:
    """The result of an answer to this request; 0 is success, None: it is no such answer."""
    if len(data) < _HEADER.size:
        return None
    version, said, code, _ = _HEADER.unpack_from(data)
    return int(code) if (version, said) == (0, _ANSWER | opcode) else None
