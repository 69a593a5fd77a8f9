"""When the next block may go: `Link.idle`, `Link.send_block` and `LinkHandler.drained`."""

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from p2pacs.wire.link.link import Link
from p2pacs.wire.messages.codec import encode
from p2pacs.wire.messages.messages import Block, ManifestNews
from tests.p2pacs.wire.recorder import STUDY, greet, linked, raw


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
        await greet(other)
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
