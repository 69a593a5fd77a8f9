"""What the broker says to whoever comes without a certificate."""

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from p2pacs import limits
from p2pacs.errors import (
    AuthenticationError,
    MessageTooLongError,
    ProtocolError,
    UnknownMessageError,
)
from p2pacs.wire.channel import deadlines
from p2pacs.wire.enrolment.serving import serve_enrolment
from p2pacs.wire.messages.codec import decode, encode
from p2pacs.wire.messages.messages import (
    AuthorityCertificate,
    CatalogueNews,
    Enrolled,
    EnrolQuery,
    Message,
    Ping,
    QueryFailure,
)


async def talk(*said: bytes) -> list[Message]:
    """What the broker says to somebody who says this."""
    one, other = memory_stream_pair()

    async def refuse(_query: EnrolQuery) -> Enrolled:
        raise AuthenticationError("unknown token")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_enrolment, one, b"authority", refuse)
        for part in said:
            await other.send_all(part)
        await other.send_stream.aclose()
        heard = b""
        while data := await other.receive_some():
            heard += data
    messages = []
    while heard:
        size = int.from_bytes(heard[:4], "big")
        messages.append(decode(heard[4 : 4 + size]))
        heard = heard[4 + size :]
    assert messages.pop(0) == AuthorityCertificate(b"authority")
    return messages


async def test_the_authority_is_shown_to_everybody() -> None:
    assert await talk() == []


async def test_a_refusal_is_told() -> None:
    query = EnrolQuery(1, bytes(16), b"", bytes(32), [])
    frame = encode(query)
    for said in ([frame], [frame[:7], frame[7:]]):
        assert await talk(*said) == [
            QueryFailure(1, AuthenticationError.wire_code, "unknown token")
        ]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (encode(Ping(1)), ProtocolError),
        (encode(CatalogueNews(1)), ProtocolError),
        (b"\0\0\0\x02\x91\x7f", UnknownMessageError),
        ((limits.HANDSHAKE_FRAME_BYTES + 1).to_bytes(4, "big"), MessageTooLongError),
        (b"GET / HTTP/1.1", MessageTooLongError),
    ],
)
async def test_anything_else_is_a_protocol_error(said: bytes, kind: type[ProtocolError]) -> None:
    [failure] = await talk(said)
    assert isinstance(failure, QueryFailure)
    assert failure.code == kind.wire_code


async def test_a_silent_newcomer_is_dropped(autojump_clock: MockClock) -> None:
    one, other = memory_stream_pair()

    async def never(_query: EnrolQuery) -> Enrolled:
        raise AssertionError

    await serve_enrolment(one, b"authority", never)
    assert trio.current_time() == pytest.approx(deadlines.ENROL)
    assert await other.receive_some()
    assert await other.receive_some() == b""
