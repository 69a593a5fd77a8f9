"""Echoes as they go over the wire, and their figures."""

import struct

import pytest

from scripts.lab import ping


def test_the_checksum_is_that_of_rfc_1071() -> None:
    assert ping.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D
    request = ping.echo(7, 1234.5)
    assert ping.checksum(request) == 0


def test_an_answer_tells_when_its_request_was_sent() -> None:
    header = bytes([0x45]) + bytes(19)
    request = ping.echo(7, 1234.5)
    assert ping.sent_at(header + b"\x00" + request[1:]) == 1234.5
    assert ping.sent_at(header + request) is None  # a request
    assert ping.sent_at(header + struct.pack("!BBHI", 3, 1, 0, 0)) is None  # unreachable


def test_milliseconds_of_round_trips() -> None:
    trips = [number / 1000 for number in range(1, 101)]
    assert ping.milliseconds(trips) == {"median": 50.5, "p90": 91.0}
    assert ping.milliseconds([0.0421]) == {"median": 42.1, "p90": 42.1}
    assert ping.milliseconds([]) == {"median": None, "p90": None}


def test_what_was_not_answered_shows() -> None:
    said = ping.Pings(sent=4, trips=[0.05, 0.07]).figures()
    assert said == {"median": 60.0, "p90": 70.0, "sent": 4, "answered": 2}


@pytest.mark.parametrize(("number", "low"), [(1, 1), (65536, 0), (70000, 4464)])
def test_long_runs_count_on(number: int, low: int) -> None:
    assert struct.unpack_from("!H", ping.echo(number, 0.0), 6) == (low,)
