"""Studies that are opened after a start."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from p2pacs.errors import RevokedError
from p2pacs.ids import StudyId
from peer.retrieval.instances.recent import RecentTuning, open_recent
from tests.p2pacs.study import samples
from tests.peer.retrieval.instances.test_decode_ahead import SIZE, Cache, Held, fetched
from tests.peer.retrieval.test_study_fetch import LIMIT
from tests.peer.world import open_world
from tests.waiting import eventually

STUDIES = [StudyId(bytes([number] * 16)) for number in range(6)]
MUCH = 1000 * SIZE


Opener = Callable[[StudyId], Awaitable[Held | None]]


def opener(opened: list[StudyId], missing: frozenset[StudyId] = frozenset()) -> Opener:
    async def open_held(study: StudyId) -> Held | None:
        opened.append(study)
        return None if study in missing else Held(Cache(), 4, study)

    return open_held


async def test_a_few_of_them_the_last_one_first(autojump_clock: trio.abc.Clock) -> None:
    opened = list[StudyId]()
    await open_recent(STUDIES, opener(opened), lambda: False, MUCH, RecentTuning(count=3))
    assert opened == STUDIES[:3]


@pytest.mark.parametrize(("room", "count"), [(7 * SIZE, 2), (8 * SIZE, 3), (0, 1)])
async def test_no_more_than_there_is_room_for(
    autojump_clock: trio.abc.Clock, room: int, count: int
) -> None:
    opened = list[StudyId]()
    await open_recent(STUDIES, opener(opened), lambda: False, room, RecentTuning(count=6))
    assert opened == STUDIES[:count]


async def test_what_is_not_all_here_takes_no_room(autojump_clock: trio.abc.Clock) -> None:
    opened = list[StudyId]()
    open_held = opener(opened, frozenset(STUDIES[:2]))
    await open_recent(STUDIES, open_held, lambda: False, 4 * SIZE, RecentTuning(count=6))
    assert opened == STUDIES[:4]


async def test_what_may_not_be_read_is_passed_over(autojump_clock: trio.abc.Clock) -> None:
    async def refuse(_: StudyId) -> Held | None:
        raise RevokedError("no more")

    await open_recent(STUDIES, refuse, lambda: False, MUCH)


async def test_it_gives_way(nursery: trio.Nursery, autojump_clock: trio.abc.Clock) -> None:
    opened, others = list[StudyId](), {"a download"}
    nursery.start_soon(open_recent, STUDIES[:1], opener(opened), lambda: bool(others), MUCH)
    await trio.sleep(60)
    assert opened == []
    others.clear()
    await trio.sleep(2 * RecentTuning().pause)
    assert opened == STUDIES[:1]


async def test_what_was_read_last_is_ready_again_after_a_start(tmp_path: Path) -> None:
    """Nobody is asked for it, and it is no use of the study."""
    sent = [samples.smooth(number) for number in (1, 2)]
    async with open_world(tmp_path) as world:
        await world.broker.publish(sent)
        peer = await world.add("a", gateway={"dicomweb": "127.0.0.1:0", "decode_ahead": True})
        await fetched(world, peer)
        await eventually(lambda: len(peer.decoded) == len(sent), LIMIT)
        await world.stop("a")
        asked = len(world.broker.asked)
        peer = await world.start("a", peer.identity.folder.parent, peer.settings)
        info = peer.store.info(world.broker.study)
        await eventually(lambda: len(peer.decoded) == len(sent), LIMIT)
        assert peer.store.info(world.broker.study) == info
        assert len(world.broker.asked) == asked
        (fetch,) = peer.reads.fetches
        assert [await fetch.decoded(known) for known in fetch.known] == sent
