from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair, wait_all_tasks_blocked

from p2pacs import limits
from p2pacs.errors import (
    BusyError,
    DeadlineError,
    LinkClosedError,
    MalformedMessageError,
    MessageTooLongError,
    P2PacsError,
    ProtocolError,
    RevokedError,
    StudyNotFoundError,
    UnknownMessageError,
)
from p2pacs.wire.channel import deadlines
from p2pacs.wire.link.link import Link
from p2pacs.wire.messages.codec import encode
from p2pacs.wire.messages.messages import (
    PROTOCOL,
    Block,
    Hello,
    Leave,
    Manifest,
    ManifestNews,
    ManifestQuery,
    Ping,
    SegmentQuery,
    StudyQuery,
)
from tests.p2pacs.wire.recorder import ADDRESS, STUDY, Recorder, greet, linked, raw


async def test_both_sides_open_and_close_once() -> None:
    async with linked() as (ours, theirs):
        assert ours.link.remote == ADDRESS
        assert ours.link.bytes_received > 0
    assert ours.ends == ours.results == [None]
    assert [type(error) for error in theirs.ends] == [LinkClosedError]
    assert theirs.results == theirs.ends


async def test_news_comes_in_order() -> None:
    sent = [ManifestNews(STUDY, bytes([number])) for number in range(100)]
    async with linked() as (ours, theirs):
        for message in sent:
            ours.link.send(message)
        await wait_all_tasks_blocked()
        assert theirs.heard == sent


async def test_control_overtakes_blocks() -> None:
    block = Block(STUDY, 0, 0, limits.BLOCK_BYTES, bytes(limits.BLOCK_BYTES))
    async with linked() as (ours, theirs), trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(ours.link.send_blocks, block)
        await trio.lowlevel.checkpoint()
        news = ManifestNews(STUDY, b"root")
        ours.link.send(news)
        while len(theirs.heard) < 21:
            await wait_all_tasks_blocked()
        assert theirs.heard.index(news) < 10


async def test_queries_are_answered_in_any_order_and_at_once() -> None:
    async with linked() as (ours, theirs), trio.open_nursery() as nursery:
        nursery.start_soon(_never_answered, ours.link)
        await wait_all_tasks_blocked()
        for link in (ours.link, theirs.link):
            reply = await link.call(ManifestQuery(0, STUDY, 0), timeout=1)
            assert reply == Manifest(reply.id, b"root")
        nursery.cancel_scope.cancel()


async def _never_answered(link: Link) -> None:
    await link.call(SegmentQuery(0, STUDY, bytes(32)), timeout=60)


async def test_failures_travel_as_what_they_are() -> None:
    async with linked() as (ours, _):
        with pytest.raises(StudyNotFoundError, match="nobody has it"):
            await ours.link.call(StudyQuery(0, STUDY, "get"), timeout=1)


async def test_no_answer_in_time(autojump_clock: MockClock) -> None:
    async with linked() as (ours, theirs):
        with pytest.raises(DeadlineError):
            await ours.link.call(SegmentQuery(0, STUDY, bytes(32)), timeout=5)
        assert theirs.cancelled == 0
    assert theirs.cancelled == 1


async def test_too_many_questions_are_refused_here(autojump_clock: MockClock) -> None:
    async with linked() as (ours, _), trio.open_nursery() as nursery:
        for _number in range(limits.OPEN_QUERIES):
            nursery.start_soon(_never_answered, ours.link)
        await wait_all_tasks_blocked()
        with pytest.raises(BusyError):
            await ours.link.call(ManifestQuery(0, STUDY, 0), timeout=1)
        nursery.cancel_scope.cancel()


async def test_whoever_waits_learns_that_the_link_closed() -> None:
    errors: list[P2PacsError] = []

    async def ask(link: Link) -> None:
        try:
            await _never_answered(link)
        except LinkClosedError as error:
            errors.append(error)

    async with linked() as (ours, theirs), trio.open_nursery() as nursery:
        nursery.start_soon(ask, ours.link)
        await wait_all_tasks_blocked()
        theirs.link.close(None)
    assert len(errors) == 1
    assert theirs.cancelled == 1
    with pytest.raises(LinkClosedError):
        await ours.link.call(ManifestQuery(0, STUDY, 0), timeout=1)
    with pytest.raises(LinkClosedError):
        await ours.link.send_blocks(Block(STUDY, 0, 0, 1, b"x"))
    ours.link.send(ManifestNews(STUDY, b""))


async def test_the_last_word_says_why() -> None:
    async with linked() as (ours, theirs):
        ours.link.close(RevokedError("hospital north was revoked"))
        ours.link.close(None)
    assert [type(error) for error in ours.ends] == [RevokedError]
    assert [str(error) for error in theirs.ends] == ["hospital north was revoked"]


async def test_an_error_of_the_handler_closes_the_link() -> None:
    async with linked() as (ours, theirs):
        ours.link.send(Leave(STUDY))
        await wait_all_tasks_blocked()
    assert [type(error) for error in ours.ends] == [RevokedError]
    assert [type(error) for error in theirs.ends] == [RevokedError]


async def _upload(link: Link, sent: list[int]) -> None:
    data = bytes(limits.BLOCK_BYTES)
    for number in range(1000):
        await link.send_blocks(Block(STUDY, number, 0, len(data), data))
        sent.append(number)


async def test_blocks_wait_for_the_transport_and_a_cancelled_one_is_not_sent() -> None:
    sent: list[int] = []
    async with raw() as (ours, other):
        await greet(other)
        assert await other.receive_some()
        await ours.ready.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_upload, ours.link, sent)
            await wait_all_tasks_blocked()
            assert sent == [0]
            nursery.cancel_scope.cancel()
        ours.link.send(ManifestNews(STUDY, b"after"))
        received = b""
        while not received.endswith(encode(ManifestNews(STUDY, b"after"))):
            received += await other.receive_some()
        assert received.count(bytes(limits.BLOCK_BYTES)) == 1


async def test_a_peer_that_never_reads_is_cut_off(autojump_clock: MockClock) -> None:
    errors: list[P2PacsError] = []

    async def upload(link: Link) -> None:
        try:
            await _upload(link, [])
        except LinkClosedError as error:
            errors.append(error)

    async with raw() as (ours, other):
        await greet(other)
        assert await other.receive_some()
        await ours.ready.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(upload, ours.link)
            start = trio.current_time()
            while not ours.ends:  # a sign of life now and then, but it takes nothing
                await trio.sleep(10)
                with suppress(trio.BrokenResourceError):
                    await other.send_all(encode(ManifestNews(STUDY, b"alive")))
        assert trio.current_time() - start <= deadlines.SEND + 20
    assert [type(error) for error in ours.ends] == [DeadlineError]
    assert len(errors) == 1


async def test_a_control_queue_that_nobody_reads_is_bounded() -> None:
    async with raw() as (ours, other):
        await greet(other)
        assert await other.receive_some()
        await ours.ready.wait()
        news = ManifestNews(STUDY, bytes(limits.ROOT_BYTES))
        for _ in range(limits.CONTROL_QUEUE_BYTES // limits.ROOT_BYTES + 2):
            ours.link.send(news)
        await wait_all_tasks_blocked()
        assert [type(error) for error in ours.ends] == [BusyError]


async def test_many_small_answers_that_nobody_reads_are_bounded() -> None:
    async with raw() as (ours, other):
        await greet(other)
        assert await other.receive_some()
        await ours.ready.wait()
        pings = b"".join(encode(Ping(number)) for number in range(1, 20_001))
        with suppress(trio.BrokenResourceError):
            for _ in range(limits.CONTROL_QUEUE_BYTES // (64 * 20_000) + 2):
                await other.send_all(pings)
        await wait_all_tasks_blocked()
        assert [type(error) for error in ours.ends] == [BusyError]


async def test_closing_a_link_that_is_stuck_takes_no_longer_than_a_farewell(
    autojump_clock: MockClock,
) -> None:
    async with raw() as (ours, other):
        await greet(other)
        assert await other.receive_some()
        await ours.ready.wait()
        ours.link.send(ManifestNews(STUDY, b""))
        await wait_all_tasks_blocked()
        start = trio.current_time()
        ours.link.close(RevokedError("revoked"))
        while not ours.results:
            await trio.sleep(0.1)
        assert trio.current_time() - start <= deadlines.FAREWELL + 0.2


async def test_another_protocol_version_is_refused_with_the_reason(
    autojump_clock: MockClock,
) -> None:
    async with raw() as (ours, other):
        await greet(other, Hello(PROTOCOL + 1, "future", 0))
        received = b""
        while data := await other.receive_some():
            received += data
        assert b"update the older program" in received
    assert [type(error) for error in ours.results] == [ProtocolError]


@pytest.mark.parametrize(
    ("garbage", "kind"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", MessageTooLongError),
        (b"\x00\x00\x00\x02\x91\x7f", UnknownMessageError),
        (b"\x00\x00\x00\x02\x91\x01", MalformedMessageError),
    ],
)
async def test_garbage_is_refused_and_what_follows_is_read_away(
    garbage: bytes, kind: type[P2PacsError], autojump_clock: MockClock
) -> None:
    async with raw() as (ours, other):
        await greet(other)
        assert await other.receive_some()
        await other.send_all(garbage)
        assert (await other.receive_some())[4:6] == b"\x94\x04"  # a Failure
        await other.send_all(bytes(100_000))
        assert await other.receive_some() == b""
    assert [type(error) for error in ours.ends] == [kind]


async def test_an_end_before_hello_hints_at_the_certificate() -> None:
    ours = Recorder()
    one, other = memory_stream_pair()
    await other.send_stream.aclose()
    await ours.run(one)
    assert [type(error) for error in ours.results] == [LinkClosedError]
    assert "before it said Hello" in str(ours.results[0])


async def test_no_task_is_left_behind() -> None:
    before = trio.lowlevel.current_statistics().tasks_living
    async with linked() as (ours, _), trio.open_nursery() as nursery:
        nursery.start_soon(_never_answered, ours.link)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert trio.lowlevel.current_statistics().tasks_living == before
