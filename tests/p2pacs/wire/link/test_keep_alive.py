from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from p2pacs import limits
from p2pacs.errors import DeadlineError, LinkClosedError
from p2pacs.wire.channel import deadlines
from p2pacs.wire.link.link import Link
from p2pacs.wire.messages.codec import encode
from p2pacs.wire.messages.messages import ManifestQuery, Ping
from tests.p2pacs.wire.recorder import STUDY, greet, linked, raw


async def _ask(link: Link) -> None:
    with suppress(LinkClosedError):
        await link.call(ManifestQuery(0, STUDY, 0), timeout=1000)


async def test_a_silent_peer_that_is_asked_all_that_may_be_is_closed_in_the_same_time(
    autojump_clock: MockClock,
) -> None:
    async with raw() as (ours, other), trio.open_nursery() as nursery:
        await greet(other)
        await ours.ready.wait()
        for _number in range(limits.OPEN_QUERIES):
            nursery.start_soon(_ask, ours.link)
        await wait_all_tasks_blocked()
        start = trio.current_time()
        while await other.receive_some():
            pass
        assert trio.current_time() - start == pytest.approx(deadlines.IDLE + deadlines.ANSWER)
    assert [type(error) for error in ours.ends] == [DeadlineError]


async def test_a_silent_peer_is_asked_and_then_closed(autojump_clock: MockClock) -> None:
    async with raw() as (ours, other):
        await greet(other)
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
