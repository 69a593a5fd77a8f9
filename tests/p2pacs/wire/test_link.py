from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from attrs import define, field
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked

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
from p2pacs.ids import VirtualAddress
from p2pacs.wire import deadlines
from p2pacs.wire.codec import encode
from p2pacs.wire.link import Link, run_link
from p2pacs.wire.messages import (
    PROTOCOL,
    Block,
    Hello,
    Leave,
    Manifest,
    ManifestNews,
    ManifestQuery,
    Message,
    Ping,
    Query,
    Reply,
    SegmentQuery,
    StudyQuery,
)

HELLO = Hello(PROTOCOL, "test", 7)
ADDRESS = VirtualAddress(b"\xfd" + bytes(15))
STUDY = bytes(16)


@define
class Recorder:
    """A handler that writes down what it hears."""

    ready: trio.Event = field(factory=trio.Event)
    links: list[Link] = field(factory=list)
    heard: list[Message] = field(factory=list)
    ends: list[P2PacsError | None] = field(factory=list)
    results: list[P2PacsError | None] = field(factory=list)
    answer: Reply = field(factory=lambda: Manifest(0, b"root"))
    cancelled: int = 0
    drains: int = 0
    on_drained: Callable[[Link], None] = field(default=lambda link: None)

    @property
    def link(self) -> Link:
        return self.links[0]

    def opened(self, link: Link, hello: Hello) -> None:
        self.links.append(link)
        self.ready.set()

    def closed(self, link: Link, error: P2PacsError | None) -> None:
        self.ends.append(error)

    def news(self, link: Link, message: Message) -> None:
        self.heard.append(message)
        if isinstance(message, Leave):
            raise RevokedError("thrown out")

    def drained(self, link: Link) -> None:
        self.drains += 1
        self.on_drained(link)

    async def query(self, link: Link, query: Query) -> Reply:
        if isinstance(query, ManifestQuery):
            return self.answer
        if isinstance(query, SegmentQuery):
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                self.cancelled += 1
                raise
        raise StudyNotFoundError("nobody has it")

    async def run(self, stream: trio.abc.Stream, *, dialled: bool = True) -> None:
        self.results.append(
            await run_link(
                stream, remote=ADDRESS, hello=HELLO, handler=self, dialled=dialled, lan=False
            )
        )


@asynccontextmanager
async def linked() -> AsyncIterator[tuple[Recorder, Recorder]]:
    ours, theirs = Recorder(), Recorder()
    one, other = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.run, one)
        nursery.start_soon(theirs.run, other)
        await ours.ready.wait()
        await theirs.ready.wait()
        yield ours, theirs
        ours.link.close(None)


@asynccontextmanager
async def raw() -> AsyncIterator[tuple[Recorder, trio.abc.Stream]]:
    """A link to a test that plays the other side byte by byte."""
    ours = Recorder()
    one, other = lockstep_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.run, one)
        yield ours, other
        nursery.cancel_scope.cancel()


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


async def test_our_own_answers_have_a_deadline(autojump_clock: MockClock) -> None:
    async with linked() as (ours, theirs):
        with pytest.raises(DeadlineError, match="ask again"):
            await ours.link.call(SegmentQuery(0, STUDY, bytes(32)), timeout=1000)
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


async def _greet(other: trio.abc.Stream, hello: Hello = HELLO) -> None:
    await other.send_all(encode(hello))


async def _upload(link: Link, sent: list[int]) -> None:
    data = bytes(limits.BLOCK_BYTES)
    for number in range(1000):
        await link.send_blocks(Block(STUDY, number, 0, len(data), data))
        sent.append(number)


async def test_blocks_wait_for_the_transport_and_a_cancelled_one_is_not_sent() -> None:
    sent: list[int] = []
    async with raw() as (ours, other):
        await _greet(other)
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


async def test_whoever_sends_blocks_one_by_one_is_told_when_the_next_may_go() -> None:
    blocks = [Block(STUDY, number, 0, 1000, bytes(1000)) for number in range(50)]
    left = list(blocks)

    def send(link: Link) -> None:
        assert link.idle
        if left:
            link.send_block(left.pop(0))
            assert not link.idle

    async with linked() as (ours, theirs):
        await wait_all_tasks_blocked()
        assert ours.drains >= 1  # the Hello is out: nobody has to wait for a first time
        ours.on_drained = send
        send(ours.link)
        await wait_all_tasks_blocked()
        assert theirs.heard == blocks


async def test_a_link_that_takes_nothing_is_not_idle(autojump_clock: MockClock) -> None:
    async with raw() as (ours, other):
        await _greet(other)
        assert await other.receive_some()
        await ours.ready.wait()
        await wait_all_tasks_blocked()
        drains = ours.drains
        ours.link.send_block(Block(STUDY, 0, 0, 1, b"x"))
        await trio.sleep(20)
        assert not ours.link.idle
        assert ours.drains == drains
        assert await other.receive_some() == encode(Block(STUDY, 0, 0, 1, b"x"))
        await wait_all_tasks_blocked()
        assert ours.link.idle
        assert ours.drains == drains + 1


async def test_messages_keep_a_link_from_being_idle_and_go_ahead_of_a_block() -> None:
    news = ManifestNews(STUDY, b"root")
    async with linked() as (ours, theirs):
        await wait_all_tasks_blocked()
        ours.link.send_block(Block(STUDY, 0, 0, 1, b"x"))
        ours.link.send(news)
        await wait_all_tasks_blocked()
        assert theirs.heard == [news, Block(STUDY, 0, 0, 1, b"x")]
        ours.link.send(news)
        assert not ours.link.idle


async def test_a_closed_link_takes_no_blocks() -> None:
    async with linked() as (ours, theirs):
        await wait_all_tasks_blocked()
        ours.link.close(None)
        assert not ours.link.idle
        drains = ours.drains
        ours.link.send_block(Block(STUDY, 0, 0, 1, b"x"))
        await wait_all_tasks_blocked()
        assert theirs.heard == []
        assert ours.drains == drains


async def test_a_peer_that_never_reads_is_cut_off(autojump_clock: MockClock) -> None:
    errors: list[P2PacsError] = []

    async def upload(link: Link) -> None:
        try:
            await _upload(link, [])
        except LinkClosedError as error:
            errors.append(error)

    async with raw() as (ours, other):
        await _greet(other)
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
        await _greet(other)
        assert await other.receive_some()
        await ours.ready.wait()
        news = ManifestNews(STUDY, bytes(limits.ROOT_BYTES))
        for _ in range(limits.CONTROL_QUEUE_BYTES // limits.ROOT_BYTES + 2):
            ours.link.send(news)
        await wait_all_tasks_blocked()
        assert [type(error) for error in ours.ends] == [BusyError]


async def test_closing_a_link_that_is_stuck_takes_no_longer_than_a_farewell(
    autojump_clock: MockClock,
) -> None:
    async with raw() as (ours, other):
        await _greet(other)
        assert await other.receive_some()
        await ours.ready.wait()
        ours.link.send(ManifestNews(STUDY, b""))
        await wait_all_tasks_blocked()
        start = trio.current_time()
        ours.link.close(RevokedError("revoked"))
        while not ours.results:
            await trio.sleep(0.1)
        assert trio.current_time() - start <= deadlines.FAREWELL + 0.2


async def test_a_silent_peer_is_asked_and_then_closed(autojump_clock: MockClock) -> None:
    async with raw() as (ours, other):
        await _greet(other)
        assert await other.receive_some()
        await ours.ready.wait()
        start = trio.current_time()
        assert await other.receive_some() == encode(Ping(1))
        assert trio.current_time() - start == pytest.approx(deadlines.IDLE)
        assert await other.receive_some() == b""
        assert trio.current_time() - start == pytest.approx(deadlines.IDLE + deadlines.ANSWER)
    assert [type(error) for error in ours.ends] == [DeadlineError]


async def test_a_quiet_link_stays_open(autojump_clock: MockClock) -> None:
    async with linked() as (ours, theirs):
        await trio.sleep(100 * deadlines.IDLE)
        assert not ours.ends
        assert not theirs.ends


async def test_no_hello_in_time(autojump_clock: MockClock) -> None:
    async with raw() as (ours, other):
        assert await other.receive_some()
        assert await other.receive_some() == b""
        assert trio.current_time() == pytest.approx(deadlines.HELLO)
    assert [type(error) for error in ours.results] == [DeadlineError]
    assert ours.ends == []


async def test_another_protocol_version_is_refused_with_the_reason(
    autojump_clock: MockClock,
) -> None:
    async with raw() as (ours, other):
        await _greet(other, Hello(PROTOCOL + 1, "future", 0))
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
        await _greet(other)
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


async def test_a_reply_that_cannot_travel_becomes_a_failure() -> None:
    async with linked() as (ours, theirs):
        theirs.answer = Manifest(0, bytes(limits.ROOT_BYTES + 1))
        with pytest.raises(MalformedMessageError):
            await ours.link.call(ManifestQuery(0, STUDY, 0), timeout=1)
        assert not ours.ends


async def test_no_task_is_left_behind() -> None:
    before = trio.lowlevel.current_statistics().tasks_living
    async with linked() as (ours, _), trio.open_nursery() as nursery:
        nursery.start_soon(_never_answered, ours.link)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert trio.lowlevel.current_statistics().tasks_living == before
