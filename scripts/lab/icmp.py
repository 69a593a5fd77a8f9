"""What the routers on a line answer by ICMP (RFC 792, RFC 1812 4.3). Pure: no clock, no I/O.

A line has two: the hospital's own router, in front of the uplink's queue, and the provider's
behind it. Both answer packets whose TTL ends there, and echoes to their own addresses.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import Final

OWN: Final = IPv4Address("10.2.255.253")
"""The hospital's own router: the same address on every line, as those at home have."""

PROVIDER: Final = IPv4Address("10.2.255.254")
"""The provider's router, behind the uplink's queue."""

ANSWERS: Final = "answers"
LIMITED: Final = "limited"
SILENT: Final = "silent"
KINDS: Final = (ANSWERS, LIMITED, SILENT)
"""Routers that tell of every packet whose TTL ended; as few as Linux does; none."""

LIMIT_SECONDS: Final = 1.0
LIMIT_BURST: Final = 6
"""Linux tells each destination of one a second (net.ipv4.icmp_ratelimit), six at once after a
pause (XRLIM_BURST_FACTOR of net/ipv4/icmp.c). Answers to echoes are not limited."""

_ICMP: Final = 1
_ECHO: Final = 8
_ECHO_REPLY: Final = 0
_TIME_EXCEEDED: Final = 11
_ERRORS: Final = frozenset({3, 4, 5, 11, 12})
"""Types of messages about errors: none is told about them (RFC 1122 3.2.2)."""

_TTL: Final = 64
_LEAST: Final = 20
"""Bytes of an IPv4 header."""

_QUOTED: Final = 8
"""Bytes behind the IP header that an error quotes: what every router does (RFC 792)."""

_FRAGMENT: Final = 0x1FFF
"""The fragment's offset, of the word at byte 6."""


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def time_exceeded(packet: bytes, router: IPv4Address) -> bytes | None:
    """The packet by which a router tells that another one's TTL ended there.

    Args:
        packet: IPv4, whole.
        router: Who tells.

    Returns:
        None where nothing may be told: of errors, and of later fragments (RFC 1122 3.2.2).
    """
    header = (packet[0] & 15) * 4
    if len(packet) < max(header, _LEAST) or int.from_bytes(packet[6:8]) & _FRAGMENT:
        return None
    if packet[9] == _ICMP and packet[header : header + 1] and packet[header] in _ERRORS:
        return None
    quoted = packet[: header + _QUOTED]
    return _packet(router, packet[12:16], _TIME_EXCEEDED, bytes(4) + quoted)


def echo_reply(packet: bytes) -> bytes | None:
    """A router's answer to an ICMP echo to its own address; None if this is none."""
    header = (packet[0] & 15) * 4
    message = packet[header:]
    if len(message) < 8 or packet[9] != _ICMP or message[0] != _ECHO:
        return None
    return _packet(IPv4Address(packet[16:20]), packet[12:16], _ECHO_REPLY, message[4:])


def _packet(source: IPv4Address, target: bytes, kind: int, rest: bytes) -> bytes:
    blank = bytes([kind, 0, 0, 0]) + rest
    message = blank[:2] + checksum(blank).to_bytes(2) + rest
    size = _LEAST + len(message)
    head = struct.pack("!BBHHHBBH", 0x45, 0, size, 0, 0, _TTL, _ICMP, 0) + source.packed + target
    return head[:10] + checksum(head).to_bytes(2) + head[12:] + message


class ErrorLimit:
    """How many errors one destination is told of."""

    def __init__(self, kind: str) -> None:
        """One that has told nothing for long.

        Args:
            kind: One of `KINDS`.
        """
        self._kind = kind
        self._left = float(LIMIT_BURST)
        self._at = 0.0

    def takes(self, now: float) -> bool:
        """Whether one more is told, which then counts."""
        if self._kind != LIMITED:
            return self._kind == ANSWERS
        self._left = min(LIMIT_BURST, self._left + (now - self._at) / LIMIT_SECONDS)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
