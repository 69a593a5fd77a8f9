import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import MessageTooLongError
from p2pacs.wire.messages.frames import FrameReader


def frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


@given(st.lists(st.binary(max_size=50)), st.lists(st.integers(1, 40)))
def test_payloads_come_out_however_the_bytes_are_cut(
    payloads: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(map(frame, payloads))
    reader = FrameReader(50)
    received = []
    for cut in cuts:
        received += reader.feed(stream[:cut])
        stream = stream[cut:]
    received += reader.feed(stream)
    assert received == payloads


def test_a_length_above_the_limit_is_refused_before_its_payload_comes() -> None:
    reader = FrameReader(10)
    assert list(reader.feed(frame(bytes(10)))) == [bytes(10)]
    assert list(reader.feed(b"\0\0\0")) == []
    with pytest.raises(MessageTooLongError, match="11"):
        list(reader.feed(b"\x0b"))


def test_the_limit_may_change_between_two_payloads() -> None:
    reader = FrameReader(1)
    payloads = reader.feed(frame(b"a") + frame(b"bcd"))
    assert next(payloads) == b"a"
    reader.limit = 3
    assert list(payloads) == [b"bcd"]


def test_what_was_taken_is_not_given_again() -> None:
    reader = FrameReader(9)
    payloads = reader.feed(frame(b"a") + frame(b"b"))
    assert next(payloads) == b"a"
    payloads.close()  # type: ignore[attr-defined]
    assert list(reader.feed(frame(b"c"))) == [b"c"]
