"""NAT-PMP: bytes of the RFC, and answers of strangers."""

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from p2pacs.mapping.answers import Granted, Refused
from p2pacs.mapping.nat_pmp import map_request, parse_address, parse_map

PORTS = st.integers(1, 65535)


def answer(opcode: int, body: bytes, code: int = 0) -> bytes:
    return bytes([0, 0x80 | opcode]) + code.to_bytes(2) + bytes(4) + body


def mapped(port: int, outer: int, lifetime: int) -> bytes:
    return answer(2, port.to_bytes(2) + outer.to_bytes(2) + lifetime.to_bytes(4))


def test_a_request_has_the_bytes_of_the_standard() -> None:
    request = map_request(4000, 4001, 600)
    assert request == bytes([0, 2, 0, 0, 15, 160, 15, 161, 0, 0, 2, 88])


@given(PORTS, PORTS, st.integers(0, 2**32 - 1))
def test_an_answer_is_read(port: int, outer: int, lifetime: int) -> None:
    assert parse_map(mapped(port, outer, lifetime), port) == Granted(outer, lifetime, None)
    assert parse_map(mapped(port, outer, lifetime), port % 65535 + 1) is None


def test_a_refusal_and_an_end() -> None:
    assert parse_map(answer(2, b"", 2), 4000) == Refused(2)
    assert parse_map(mapped(4000, 0, 600), 4000) is None
    assert parse_map(mapped(4000, 0, 0), 4000) == Granted(0, 0, None)


def test_the_outer_address() -> None:
    assert parse_address(answer(0, bytes([11, 2, 3, 4]))) == IPv4Address("11.2.3.4")
    assert parse_address(answer(0, bytes(4), 3)) == Refused(3)
    assert parse_address(answer(0, bytes(5))) is None


@given(st.binary(max_size=40))
def test_whatever_comes_is_read_without_error(data: bytes) -> None:
    parse_map(data, 4000)
    parse_address(data)
