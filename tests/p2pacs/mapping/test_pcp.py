"""PCP: bytes of the RFC, and answers of strangers."""

from ipaddress import IPv4Address, IPv6Address, ip_address

from hypothesis import given
from hypothesis import strategies as st

from p2pacs.mapping.answers import UNSUPPORTED_VERSION, Granted, Refused
from p2pacs.mapping.pcp import MOST_BYTES, NONCE_BYTES, map_request, parse_map

NOWHERE = "0.0.0.0"  # noqa: S104 - nobody listens
NONCE = bytes(range(NONCE_BYTES))
PORTS = st.integers(1, 65535)
SECONDS = st.integers(1, 2**32 - 1)


def answer(
    nonce: bytes, port: int, outer: int, lifetime: int, address: str, *, code: int = 0
) -> bytes:
    said = ip_address(address)
    sixteen = said.packed if said.version == 6 else bytes(10) + b"\xff\xff" + said.packed
    head = bytes([2, 0x81, 0, code]) + lifetime.to_bytes(4) + bytes(4) + bytes(12)
    return head + nonce + bytes([6, 0, 0, 0]) + port.to_bytes(2) + outer.to_bytes(2) + sixteen


def test_a_request_has_the_bytes_of_the_standard() -> None:
    request = map_request(NONCE, IPv4Address("192.168.1.2"), 4000, 4001, 600)
    inner = bytes(10) + b"\xff\xff" + bytes([192, 168, 1, 2])
    anywhere = bytes(10) + b"\xff\xff" + bytes(4)
    assert request == (
        bytes([2, 1, 0, 0, 0, 0, 2, 88]) + inner + NONCE + bytes([6, 0, 0, 0])
        + (4000).to_bytes(2) + (4001).to_bytes(2) + anywhere
    )  # fmt: skip
    assert len(request) == 60
    assert map_request(NONCE, IPv6Address("2001:db8::2"), 1, 0, 0)[-16:] == bytes(16)


@given(PORTS, PORTS, SECONDS, st.ip_addresses(v=4) | st.just(IPv6Address("2a00::7")))
def test_an_answer_is_read(
    port: int, outer: int, lifetime: int, address: IPv4Address | IPv6Address
) -> None:
    said = answer(NONCE, port, outer, lifetime, str(address))
    assert parse_map(said, NONCE, port) == Granted(outer, lifetime, address)
    assert parse_map(said + bytes(8), NONCE, port) == Granted(outer, lifetime, address)  # options


@given(st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES).filter(lambda one: one != NONCE))
def test_answers_to_others_are_none(nonce: bytes) -> None:
    said = answer(nonce, 4000, 4000, 600, "11.0.0.1")
    assert parse_map(said, NONCE, 4000) is None
    assert parse_map(answer(NONCE, 4001, 4000, 600, "11.0.0.1"), NONCE, 4000) is None


def test_a_refusal_and_an_end() -> None:
    assert parse_map(answer(NONCE, 4000, 0, 30, NOWHERE, code=8), NONCE, 4000) == Refused(8)
    assert parse_map(answer(NONCE, 4000, 0, 30, NOWHERE), NONCE, 4000) is None
    ended = parse_map(answer(NONCE, 4000, 0, 0, NOWHERE), NONCE, 4000)
    assert ended == Granted(0, 0, IPv4Address(NOWHERE))
    later = bytes([3, 0x81, 0, UNSUPPORTED_VERSION]) + bytes(20)
    assert parse_map(later, NONCE, 4000) == Refused(UNSUPPORTED_VERSION)


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_without_error(data: bytes) -> None:
    parse_map(data, NONCE, 4000)


@given(st.integers(0, 59))
def test_answers_that_are_cut_or_too_long_are_none(size: int) -> None:
    said = answer(NONCE, 4000, 4000, 600, "11.0.0.1")
    assert parse_map(said[:size], NONCE, 4000) is None
    assert parse_map(said + bytes(MOST_BYTES), NONCE, 4000) is None
