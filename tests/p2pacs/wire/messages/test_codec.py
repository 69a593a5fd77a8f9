import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pacs import limits
from p2pacs.errors import (
    MalformedMessageError,
    MessageTooLongError,
    ProtocolError,
    UnknownMessageError,
)
from p2pacs.wire.messages.codec import CODECS, decode, describe, encode
from p2pacs.wire.messages.messages import (
    Block,
    CataloguePage,
    Have,
    Hello,
    Join,
    Message,
    Offer,
    Ping,
    Pong,
    QueryFailure,
    Request,
)
from tests.p2pacs.wire.strategies import any_message, messages_of

STUDY = bytes(range(16))


def payload_of(message: Message) -> bytes:
    frame = encode(message)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    return frame[4:]


def test_the_wire_is_frozen() -> None:
    """Changing a message changes the protocol: a new PROTOCOL number, then a new frozen.txt."""
    assert describe() == (Path(__file__).parent / "frozen.txt").read_text()


def test_the_bytes_are_frozen() -> None:
    assert payload_of(Ping(7)).hex() == "920207"
    assert payload_of(Hello(1, "p2pacs", 300)).hex() == "940101a6703270616373cd012c"
    assert payload_of(Have(STUDY, [(0, 5), (200, 1)])).hex() == (
        "9311c410000102030405060708090a0b0c0d0e0f92920005" + "92ccc801"
    )
    assert payload_of(Block(STUDY, 3, 0, 2, b"ab")).hex() == (
        "9615c410000102030405060708090a0b0c0d0e0f030002c4026162"
    )


@pytest.mark.parametrize("number", sorted(CODECS))
def test_every_kind_comes_back(number: int) -> None:
    @settings(max_examples=15)
    @given(messages_of(number))
    def comes_back(message: Message) -> None:
        assert decode(payload_of(message)) == message

    comes_back()


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_protocol_errors_only(payload: bytes) -> None:
    try:
        message = decode(payload)
    except ProtocolError:
        return
    assert decode(payload_of(message)) == message


@given(any_message, st.data())
def test_damaged_messages_raise_protocol_errors_only(message: Message, data: Any) -> None:
    payload = bytearray(payload_of(message))
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ProtocolError):
        decode(bytes(payload))


json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.binary()
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=2),
)


@given(st.sampled_from(sorted(CODECS)), st.lists(json_like, max_size=7))
def test_wrong_fields_raise_protocol_errors_only(number: int, fields: list[Any]) -> None:
    try:
        message = decode(msgpack.packb([number, *fields]))
    except ProtocolError:
        return
    assert type(message) is CODECS[number].kind


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ([2], "arity"),
        ([2, 1, 1], "arity"),
        ([2, True], "bool is no int"),
        ([2, 0], "id 0 is the last word's alone"),
        ([2, -1], "negative"),
        ([2, 2**32], "too large"),
        ([2, 1.0], "float"),
        ([2, None], "nil"),
        ([2, [1]], "array"),
        ([2, {}], "map"),
        ([2, msgpack.Timestamp(1)], "extension"),
        ([True, 1], "number"),
        ([1, 1, b"agent", 0], "bytes are no text"),
        ([1, 1, "a" * 129, 0], "text too long"),
        ([18, "s" * 16], "text is no bytes"),
        ([18, bytes(15)], "study too short"),
        ([18, bytes(17)], "study too long"),
        ([16, STUDY, 0, b"", 1, 0, False], "int is no bool"),
        ([16, STUDY, 0, b"", True, 4, False], "no such priority"),
        ([16, STUDY, 0, b"", True], "a Join of version 1"),
        ([19, STUDY, list(range(limits.REQUEST_NUMBERS + 1))], "too many numbers"),
        ([19, STUDY, [limits.STUDY_CHUNKS]], "number too large"),
        ([19, STUDY, [[1]]], "nested"),
        ([19, STUDY, 5], "no list"),
        ([17, STUDY, [[1]]], "no pair"),
        ([17, STUDY, [[1, 0]]], "empty range"),
        ([17, STUDY, [[1, 2, 3]]], "three"),
        ([17, STUDY, [[1, True]]], "bool in a pair"),
        ([17, STUDY, [[limits.STUDY_CHUNKS, 1]]], "range beyond the study"),
        ([23, STUDY, 0, []], "an offer of nothing"),
        ([23, STUDY, limits.OFFERED_CHUNKS + 1, []], "an offer too large"),
        ([21, STUDY, 0, 1, 2, b"ab"], "block beyond its chunk"),
        ([21, STUDY, 0, 0, limits.CHUNK_BYTES + 1, b""], "chunk too large"),
    ],
)
def test_malformed_messages(fields: list[Any], why: str) -> None:
    with pytest.raises(MalformedMessageError):
        decode(msgpack.packb(fields))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x90",
        b"\x92\x02",
        b"\x92\x02\x01\x00",
        b"\xc1",
        b"\x81\x02\x01",
        b"\x93\x01\x01\xa1\xff\x00",
    ],
)
def test_broken_msgpack(payload: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        decode(payload)


def test_unknown_messages_have_an_error_of_their_own() -> None:
    with pytest.raises(UnknownMessageError, match="127"):
        decode(b"\x91\x7f")
    with pytest.raises(UnknownMessageError):
        decode(msgpack.packb([2**63]))


def test_claimed_lengths_take_no_memory() -> None:
    bombs = [
        b"\x93\x13\xc4\x10" + STUDY + b"\xdd\x7f\xff\xff\xff",  # Request of 2^31 numbers
        b"\x93\x11\xc4\x10" + STUDY + b"\xdc\x10\x00" + b"\xdd\x7f\xff\xff\xff" * 1000,
        b"\x92\x12\xc6\x7f\xff\xff\xff",  # Leave with a study of 2 GiB
        b"\x94\x01\x01\xdb\x7f\xff\xff\xff",
        b"\x92\x02" + b"\xdd\x00\x00\x10\x00" * 900,
    ]
    tracemalloc.start()
    try:
        for bomb in bombs:
            with pytest.raises(MalformedMessageError):
                decode(bomb)
        assert tracemalloc.get_traced_memory()[1] < 2 * limits.MIB
    finally:
        tracemalloc.stop()


def test_what_the_other_side_would_refuse_is_not_sent() -> None:
    for message in (
        Join(b"short", 0, b"", True, 0, False),
        Offer(STUDY, 0, []),
        Request(STUDY, [-1]),
        Pong(0),
        QueryFailure(1, 1, "x" * (limits.TEXT + 1)),
        Block(STUDY, 0, 1, 2, b"ab"),
    ):
        with pytest.raises(MalformedMessageError):
            encode(message)
    page = CataloguePage(1, [bytes(limits.FRAME_BYTES // 2)] * 2, 1, False, False)
    with pytest.raises(MessageTooLongError):
        encode(page)


def test_the_largest_messages_fit_in_a_frame() -> None:
    for message in (
        Have(STUDY, [(limits.STUDY_CHUNKS - 2, 2)] * limits.HAVE_RANGES),
        Join(STUDY, 2**63 - 1, bytes(limits.STUDY_CHUNKS // 8), True, 3, True),
        Offer(STUDY, limits.OFFERED_CHUNKS, [limits.STUDY_CHUNKS - 1] * limits.REQUEST_NUMBERS),
        Block(STUDY, limits.STUDY_CHUNKS - 1, 0, limits.CHUNK_BYTES, bytes(limits.CHUNK_BYTES)),
    ):
        assert decode(payload_of(message)) == message
