import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from p2pacs import limits
from p2pacs.errors import BusyError, DeadlineError, MalformedMessageError
from p2pacs.wire.link.answers import QueryAnswers
from p2pacs.wire.messages.codec import decode, encode
from p2pacs.wire.messages.frames import FrameReader
from p2pacs.wire.messages.messages import (
    Manifest,
    ManifestQuery,
    Message,
    Query,
    QueryFailure,
    Reply,
    SegmentQuery,
)
from tests.p2pacs.wire.recorder import STUDY, greet, linked, raw


async def test_only_so_many_are_answered_in_a_second(autojump_clock: MockClock) -> None:
    said: list[tuple[int, float]] = []

    async def handle(query: Query) -> Reply:
        return Manifest(query.id, b"")

    answers = QueryAnswers(
        "x", handle, lambda reply: said.append((reply.id, trio.current_time())), lambda: 0
    )
    more = 50
    async with trio.open_nursery() as nursery:
        for number in range(limits.QUERY_BURST + more):
            nursery.start_soon(answers.answer, ManifestQuery(number, STUDY, 0))
    times = sorted(at for _, at in said)
    assert len(times) == limits.QUERY_BURST + more
    assert times[limits.QUERY_BURST - 1] == 0
    assert times[-1] == pytest.approx(more / limits.QUERY_RATE, abs=2 / limits.QUERY_RATE)


async def test_our_own_answers_have_a_deadline(autojump_clock: MockClock) -> None:
    async with linked() as (ours, theirs):
        with pytest.raises(DeadlineError, match="ask again"):
            await ours.link.call(SegmentQuery(0, STUDY, bytes(32)), timeout=1000)
        assert theirs.cancelled == 1


async def test_large_answers_that_nobody_reads_become_small_ones(
    autojump_clock: MockClock,
) -> None:
    async with raw() as (ours, other):
        await greet(other)
        assert await other.receive_some()
        await ours.ready.wait()
        ours.answer = Manifest(0, bytes(limits.ROOT_BYTES))
        asked = 3 * limits.ANSWER_QUEUE_BYTES // limits.ROOT_BYTES
        for number in range(1, asked + 1):
            await other.send_all(encode(ManifestQuery(number, STUDY, 0)))
            await wait_all_tasks_blocked()
        assert ours.ends == [], "it may be slow: what it asked for is answered, if not in full"
        frames, heard = FrameReader(limits.FRAME_BYTES), list[Message]()
        while len(heard) < asked:
            heard += [decode(frame) for frame in frames.feed(await other.receive_some())]
        full = [message for message in heard if isinstance(message, Manifest)]
        busy = [message for message in heard if isinstance(message, QueryFailure)]
        assert len(full) + len(busy) == asked
        assert abs(len(full) - limits.ANSWER_QUEUE_BYTES // limits.ROOT_BYTES) <= 2
        assert {message.code for message in busy} == {BusyError.wire_code}


async def test_a_reply_that_cannot_travel_becomes_a_failure() -> None:
    async with linked() as (ours, theirs):
        theirs.answer = Manifest(0, bytes(limits.ROOT_BYTES + 1))
        with pytest.raises(MalformedMessageError):
            await ours.link.call(ManifestQuery(0, STUDY, 0), timeout=1)
        assert not ours.ends
