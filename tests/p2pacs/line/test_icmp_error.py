import socket
import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.line import icmp_error
from p2pacs.line.icmp_error import IcmpError

V4 = (socket.IPPROTO_IP, icmp_error.IP_RECVERR)
V6 = (socket.IPPROTO_IPV6, icmp_error.IPV6_RECVERR)


def extended(origin: int, kind: int, code: int, address: str) -> bytes:
    """As Linux lays it out."""
    there = ip_address(address)
    head = struct.pack("=IBBBBII", 113, origin, kind, code, 0, 0, 0)
    if there.version == 4:
        return head + struct.pack("=HH4s8x", socket.AF_INET, 0, there.packed)
    return head + struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, there.packed, 0)


@pytest.mark.parametrize(
    ("level", "data", "expected"),
    [
        (V4, extended(2, 11, 0, "192.0.2.1"), IcmpError(True, False, "192.0.2.1")),
        (V6, extended(3, 3, 0, "2001:db8::1"), IcmpError(True, False, "2001:db8::1")),
        (V4, extended(2, 3, 3, "192.0.2.9"), IcmpError(False, True, "192.0.2.9")),
        (V6, extended(3, 1, 4, "2001:db8::9"), IcmpError(False, True, "2001:db8::9")),
        (V4, extended(2, 11, 1, "192.0.2.1"), IcmpError(False, False, "192.0.2.1")),
        (V4, extended(1, 11, 0, "192.0.2.1"), None),  # of this machine itself
    ],
)
def test_what_the_kernel_keeps_is_read(
    level: tuple[int, int], data: bytes, expected: IcmpError | None
) -> None:
    assert icmp_error.parse([(*level, data)]) == expected


def test_other_messages_are_none_of_it() -> None:
    assert icmp_error.parse([]) is None
    assert icmp_error.parse([(socket.IPPROTO_IP, socket.IP_TTL, bytes(40))]) is None


def test_the_time_at_which_it_came_is_read() -> None:
    stamp = (socket.SOL_SOCKET, icmp_error.SO_TIMESTAMPNS, struct.pack("@qq", 12, 500_000_000))
    assert icmp_error.came_at([stamp]) == 12.5
    assert icmp_error.came_at([(*stamp[:2], b"12")]) is None
    assert icmp_error.came_at([]) is None


@given(st.sampled_from([V4, V6]), st.binary(max_size=64))
def test_whatever_stands_there_is_read_or_not(level: tuple[int, int], data: bytes) -> None:
    error = icmp_error.parse([(*level, data)])
    assert error is None or isinstance(error.address, str)
