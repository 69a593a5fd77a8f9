"""A reader's way through a study; how it goes through growing ones is in test_study_fetch."""

from pathlib import Path

import trio

from p2pacs.study.study_index import LeftOut
from peer.retrieval.instances.cursor import Cursor
from peer.retrieval.study_fetch import StudyFetch
from tests.p2pacs.study import samples
from tests.peer.retrieval.test_study_fetch import LIMIT, opened, read_all
from tests.peer.world import instances, open_world


async def test_what_the_pacs_withdrew_does_not_come(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(3)
        await world.broker.publish(sent[:2], complete=False)
        fetch = await opened(world, await world.add("a"))
        early = fetch.cursor()
        with fetch.in_use(), trio.fail_after(LIMIT):
            first = await early.next()
            assert first is not None
            assert first.number == 1
            await world.broker.publish(sent[2:], withdrawn=[sent[1].sop_instance_uid])
            await _settled(fetch)
            late = fetch.cursor()
            assert [await _number(late), await _number(late), await _number(late)] == [1, 3, None]
            # It was known when the other reader began, and not given yet.
            assert [await _number(early), await _number(early)] == [3, None]
        assert [known.number for known in fetch.present] == [1, 3]
        assert len(fetch.known) == 3


async def test_what_the_pacs_got_back_comes(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(3)
        await world.broker.publish(sent[:2], complete=False)
        await world.broker.publish([], withdrawn=[sent[0].sop_instance_uid], complete=False)
        fetch = await opened(world, await world.add("a"))
        cursor = fetch.cursor()
        with fetch.in_use(), trio.fail_after(LIMIT):
            assert await _number(cursor) == 2
            await world.broker.publish([sent[0], sent[2]])
            assert sorted([await _number(cursor) or 0, await _number(cursor) or 0]) == [1, 3]
            assert await _number(cursor) is None


async def test_what_was_replaced_after_it_was_given_comes_again_if_it_is_to(
    tmp_path: Path,
) -> None:
    """Who keeps files has the newer one at the end; a workstation is told instead."""
    async with open_world(tmp_path) as world:
        sent = instances(3)
        corrected = samples.instance(1, rows=64, columns=64, PatientID="NEW")
        await world.broker.publish(sent[:2], complete=False)
        fetch = await opened(world, await world.add("a"))
        files, once = fetch.cursor(again=True), fetch.cursor()
        with fetch.in_use(), trio.fail_after(LIMIT):
            assert [await _number(files), await _number(files)] == [1, 2]
            assert [await _number(once), await _number(once)] == [1, 2]
            gone = [one.sop_instance_uid for one in sent[:2]]
            await world.broker.publish([], withdrawn=gone, complete=False)
            await world.broker.publish([corrected, *sent[1:]])
            assert [await _number(files), await _number(files), await _number(files)] == [
                3,
                1,
                None,
            ]
            assert [await _number(once), await _number(once)] == [3, None]
            assert await fetch.read(fetch.instance(1)) == corrected


async def test_another_one_is_given_if_it_is_to_be_taken(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(3))
        fetch = await opened(world, await world.add("a"))
        cursor = fetch.cursor()
        with fetch.in_use(), trio.fail_after(LIMIT):
            assert cursor.another(lambda _: True) is None  # nothing is known yet
            assert await _number(cursor) == 1
            await _settled(fetch)
            while not fetch.is_here(fetch.instance(3)):
                await fetch.moved(fetch.mark())
            assert cursor.another(lambda known: known.number != 2) is None
            found = [cursor.another(lambda _: True) for _ in range(3)]
            assert [known and known.number for known in found] == [2, 3, None]
            assert await _number(cursor) is None


async def test_what_was_left_out_is_known_with_the_index(tmp_path: Path) -> None:
    missing = LeftOut(("1.2.3",), 1, "2 instances: unreadable")
    async with open_world(tmp_path) as world:
        sent = instances(2)
        await world.broker.publish(sent, left_out=missing)
        fetch = await opened(world, await world.add("a"))
        assert fetch.left_out.count == 0
        assert len(await read_all(fetch)) == 2
        assert fetch.left_out == missing


async def _settled(fetch: StudyFetch) -> None:
    """Until the newest version is known here."""
    while not fetch.settled:
        mark = fetch.mark()
        await fetch.refresh()
        if not fetch.settled:
            await fetch.changed(mark)


async def _number(cursor: Cursor) -> int | None:
    known = await cursor.next()
    return None if known is None else known.number
