"""What routers answer, as bytes."""

import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.lab import icmp

ROUTER = IPv4Address("192.0.2.1")
MEMBER = IPv4Address("10.2.0.1")
OTHER = IPv4Address("10.2.0.2")


def packet(
    body: bytes, *, protocol: int = 17, fragment: int = 0, there: IPv4Address = OTHER
) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, fragment, 1, protocol, 0)
    return head + MEMBER.packed + there.packed + body


def test_the_checksum_is_that_of_rfc_1071() -> None:
    assert icmp.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D
    assert icmp.checksum(b"\x01") == icmp.checksum(b"\x01\x00")


def test_an_error_quotes_the_header_and_eight_bytes() -> None:
    sent = packet(bytes(range(40)))
    answer = icmp.time_exceeded(sent, ROUTER)
    assert answer is not None
    assert len(answer) == int.from_bytes(answer[2:4]) == 20 + 8 + 28
    assert (answer[12:16], answer[16:20]) == (ROUTER.packed, MEMBER.packed)
    assert icmp.checksum(answer[:20]) == icmp.checksum(answer[20:]) == 0
    assert answer[20:28] == b"\x0b\x00" + answer[22:24] + bytes(4)
    assert answer[28:] == sent[:28]


def test_of_errors_and_later_fragments_nothing_is_told() -> None:
    error = icmp.time_exceeded(packet(bytes(40)), ROUTER)
    assert error is not None
    assert icmp.time_exceeded(error, ROUTER) is None
    assert icmp.time_exceeded(packet(bytes(8), fragment=1), ROUTER) is None
    assert icmp.time_exceeded(packet(b"\x08" + bytes(7), protocol=1), ROUTER) is not None


@pytest.mark.parametrize("body", [b"", b"\x08\x00", b"\x00" + bytes(7)])
def test_what_is_no_echo_is_not_answered(body: bytes) -> None:
    assert icmp.echo_reply(packet(body, protocol=1, there=ROUTER)) is None
    assert icmp.echo_reply(packet(b"\x08" + bytes(7), there=ROUTER)) is None  # UDP


@given(st.binary(max_size=64))
def test_whatever_comes_is_answered_or_not(sent: bytes) -> None:
    whole = bytes([0x45]) + sent + bytes(19)
    for answer in (icmp.time_exceeded(whole, ROUTER), icmp.echo_reply(whole)):
        assert answer is None or icmp.checksum(answer[20:]) == 0


def test_how_many_errors_are_told() -> None:
    limits = {kind: icmp.ErrorLimit(kind) for kind in icmp.KINDS}
    told = {kind: sum(limit.takes(100.0) for _ in range(20)) for kind, limit in limits.items()}
    assert told == {icmp.ANSWERS: 20, icmp.LIMITED: 6, icmp.SILENT: 0}
