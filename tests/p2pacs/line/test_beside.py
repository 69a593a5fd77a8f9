import ipaddress
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.line.beside import FoundRoute, is_beside, is_point_to_point, parse_route

LINUX = sys.platform == "linux"


def _answer(kind: int, route_type: int, *attributes: tuple[int, bytes]) -> bytes:
    body = struct.pack("=BBBBBBBBI", 2, 32, 0, 0, 254, 0, 0, route_type, 0)
    for number, value in attributes:
        padding = bytes(-len(value) % 4)
        body += struct.pack("=HH", 4 + len(value), number) + value + padding
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 1, 0) + body


DEVICE = (4, (7).to_bytes(4, sys.byteorder))


def test_routes_are_read() -> None:
    beside = _answer(24, 1, (1, bytes(4)), DEVICE)
    assert parse_route(beside) == FoundRoute(local=False, gateway=False, device=7)
    behind = _answer(24, 1, DEVICE, (5, bytes([10, 0, 0, 1])))
    assert parse_route(behind) == FoundRoute(local=False, gateway=True, device=7)
    other = _answer(24, 1, DEVICE, (18, bytes(18)))  # IPv4 by way of an IPv6 router
    assert parse_route(other) == FoundRoute(local=False, gateway=True, device=7)
    own = parse_route(_answer(24, 2, DEVICE))
    assert own is not None
    assert own.local
    assert parse_route(_answer(2, 0)) is None  # an error: there is no such route


@pytest.mark.parametrize(
    ("flags", "point_to_point"),
    [(0x1043, False), (0x1090, True), (0x10D1, True), (0x80, True)],  # Ethernet, PPP, TUN, a tunnel
)
def test_interfaces_are_read(flags: int, *, point_to_point: bool) -> None:
    link = struct.pack("=BxHiII", 0, 1, 7, flags, 0)
    answer = struct.pack("=IHHII", 16 + len(link), 16, 0, 1, 0) + link
    assert is_point_to_point(answer) is point_to_point
    assert is_point_to_point(answer[:30])  # no interface: nothing is taken for the LAN


@given(st.binary(max_size=200))
def test_no_answer_breaks_it(answer: bytes) -> None:
    parse_route(answer)
    is_point_to_point(answer)


def test_loopback_is_beside() -> None:
    assert is_beside(ipaddress.ip_address("127.0.0.9"))
    assert is_beside(ipaddress.ip_address("::1"))


@pytest.mark.skipif(not LINUX, reason="other systems are asked nothing")
def test_what_has_no_route_or_a_router_on_the_way_is_not() -> None:
    assert not is_beside(ipaddress.ip_address("198.51.100.1"))
    assert not is_beside(ipaddress.ip_address("2001:db8::1"))
