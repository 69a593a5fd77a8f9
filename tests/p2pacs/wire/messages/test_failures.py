"""Errors on their way over the wire, there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import BusyError, P2PacsError, RemoteError
from p2pacs.limits import TEXT
from p2pacs.wire.messages.codec import decode, encode
from p2pacs.wire.messages.failures import failure, from_wire
from tests.p2pacs.test_errors import ALL


@pytest.mark.parametrize("kind", ALL)
def test_every_error_crosses_the_wire(kind: type[P2PacsError]) -> None:
    error = from_wire(kind.wire_code, "try again")
    assert type(error) is kind
    assert str(error) == "try again"


def test_what_a_member_says_cannot_act_on_a_terminal_here() -> None:
    assert str(from_wire(RemoteError.wire_code, "\x1b[2Jgone\u202e")) == "\\x1b[2Jgone\\u202e"


def test_an_unknown_code_is_a_remote_error() -> None:
    assert type(from_wire(9999, "?")) is RemoteError


@given(st.text(max_size=2 * TEXT))
def test_whatever_an_error_says_may_travel(text: str) -> None:
    told = failure(7, BusyError(text))
    assert decode(encode(told)[4:]) == told
    assert len(told.text) <= TEXT


def test_a_file_name_that_is_no_unicode_travels() -> None:
    assert failure(0, BusyError("no room for b\udcff")).text == "no room for b?"
