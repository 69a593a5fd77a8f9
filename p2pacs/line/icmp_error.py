"""What Linux keeps in a socket's error queue of an ICMP error (ip(7), linux/errqueue.h). Pure.

``struct sock_extended_err`` is 16 bytes, and the address of who told stands behind it.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from attrs import frozen

IP_RECVERR: Final = 11
IPV6_RECVERR: Final = 25
SO_TIMESTAMPNS: Final = 35
"""Linux's; Python has no names for them."""

_ERROR: Final = struct.Struct("=IBBBBII")
_TIMESPEC: Final = struct.Struct("@qq")
_ORIGIN_ICMP: Final = 2
_ORIGIN_ICMP6: Final = 3
_EXCEEDED: Final = {_ORIGIN_ICMP: 11, _ORIGIN_ICMP6: 3}
"""Time Exceeded by origin (RFC 792, RFC 4443 3.3), of which code 0 is the hop limit's."""

_UNREACHABLE: Final = {_ORIGIN_ICMP: (3, 3), _ORIGIN_ICMP6: (1, 4)}
"""Destination unreachable, of a port (RFC 792, RFC 4443 3.1)."""

_ADDRESS4: Final = slice(_ERROR.size + 4, _ERROR.size + 8)
_ADDRESS6: Final = slice(_ERROR.size + 8, _ERROR.size + 24)
"""Of ``struct sockaddr_in`` and ``sockaddr_in6`` behind the error."""

ANCILLARY_BYTES: Final = 256
"""More than both messages have."""

Ancillary = list[tuple[int, int, bytes]]


@frozen
class IcmpError:
    """One ICMP error about a packet that was sent."""

    exceeded: bool
    """Its TTL ended; else the port was unreachable, or something else."""
    reached: bool
    """It came to its destination, where nobody listens at the port."""
    address: str
    """Who told."""


def parse(ancillary: Ancillary) -> IcmpError | None:
    """The ICMP error in what ``recvmsg`` gave beside the packet; None if there is none."""
    for level, kind, data in ancillary:
        if (level, kind) in {
            (socket.IPPROTO_IP, IP_RECVERR),
            (socket.IPPROTO_IPV6, IPV6_RECVERR),
        }:
            return _error(data)
    return None


def _error(data: bytes) -> IcmpError | None:
    if len(data) < _ERROR.size + 2:
        return None
    _, origin, kind, code, *_ = _ERROR.unpack_from(data)
    if origin not in _EXCEEDED:
        return None
    address = _address(data)
    return IcmpError(
        exceeded=(kind, code) == (_EXCEEDED[origin], 0),
        reached=(kind, code) == _UNREACHABLE[origin],
        address=address,
    )


def _address(data: bytes) -> str:
    (family,) = struct.unpack_from("=H", data, _ERROR.size)
    if family == socket.AF_INET and len(data) >= _ADDRESS4.stop:
        return str(IPv4Address(data[_ADDRESS4]))
    if family == socket.AF_INET6 and len(data) >= _ADDRESS6.stop:
        return str(IPv6Address(data[_ADDRESS6]))
    return ""


def came_at(ancillary: Ancillary) -> float | None:
    """Unix time at which the kernel had it; None if it does not tell."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS) and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return float(seconds + nanoseconds * 1e-9)
    return None
