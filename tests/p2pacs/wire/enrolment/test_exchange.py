"""Single messages, whatever pieces they come in."""

import pytest
from trio.testing import memory_stream_pair

from p2pacs.errors import BusyError, LinkClosedError, ProtocolError
from p2pacs.wire.enrolment.exchange import Exchange
from p2pacs.wire.messages.codec import encode
from p2pacs.wire.messages.failures import failure
from p2pacs.wire.messages.messages import AuthorityCertificate, Enrolled, Ping

SHOWN = AuthorityCertificate(b"authority")


async def test_messages_come_one_by_one_however_they_are_cut() -> None:
    one, other = memory_stream_pair()
    frames = encode(SHOWN) + encode(Ping(7))
    exchange = Exchange(one, 1000)
    for cut in (frames[:3], frames[3:12], frames[12:]):
        await other.send_all(cut)
    assert await exchange.expect(AuthorityCertificate) == SHOWN
    assert await exchange.receive(Ping) == Ping(7)
    await other.send_stream.aclose()
    assert await exchange.receive(Ping) is None
    with pytest.raises(LinkClosedError, match="try again"):
        await exchange.expect(Ping)


async def test_what_the_other_side_failed_with_is_raised_here() -> None:
    one, other = memory_stream_pair()
    await Exchange(other, 1000).send(failure(1, BusyError("later")))
    with pytest.raises(BusyError, match="later"):
        await Exchange(one, 1000).expect(Enrolled)


async def test_another_kind_of_message_is_not_allowed() -> None:
    one, other = memory_stream_pair()
    await Exchange(other, 1000).send(Ping(1))
    with pytest.raises(ProtocolError, match="Ping is not allowed"):
        await Exchange(one, 1000).expect(Enrolled)
