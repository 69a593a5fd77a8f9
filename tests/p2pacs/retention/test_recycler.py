from pathlib import Path

import pytest
import trio

from p2pacs.ids import StudyId
from p2pacs.retention import recycler as cache_module
from p2pacs.swarm.download.transfer import TransferState
from p2pacs.wire.messages import PossessionQuery
from peer.app import Peer
from tests.peer.retrieval.test_study_fetch import LIMIT, by_uid, opened, read_all
from tests.peer.world import World, eventually, instances, open_world


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing counts as being served only because it was just used."""
    monkeypatch.setattr(cache_module, "SERVED", -1.0)


async def _holding(world: World, name: str) -> Peer:
    peer = await world.add(name)
    fetch = await opened(world, peer)
    await read_all(fetch)
    with trio.fail_after(LIMIT):
        await fetch.transfer.wait_complete()
    return peer


async def test_a_study_that_is_whole_elsewhere_goes(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(2)
        await world.broker.publish(sent)
        peer = await _holding(world, "a")
        assert peer.store.used > 0
        assert await peer.cache.make_room(1)
        assert peer.store.used == 0
        assert not peer.store.holds(world.broker.study)
        await eventually(lambda: not world.broker.announced[-1][1].held)
        assert world.broker.announced[-1][1].study == world.broker.study.raw
        # It can be fetched again.
        assert await read_all(await opened(world, peer)) == by_uid(sent)


async def test_the_last_copy_stays(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await _holding(world, "a")
        await world.broker.store.drop(world.broker.study)
        assert not await peer.cache.make_room(1)
        await world.stop("broker")
        await eventually(lambda: peer.identity.broker not in peer.node.linked)
        assert not await peer.cache.make_room(1)
        assert peer.store.used > 0


async def test_a_study_in_use_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await _holding(world, "a")
        with peer.fetcher.get(world.broker.study).in_use():
            assert not await peer.cache.make_room(1)
        monkeypatch.setattr(cache_module, "SERVED", 60.0)
        (await peer.store.study(world.broker.study)).touch()
        assert not await peer.cache.make_room(1)


async def test_too_little_is_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await _holding(world, "a")
        assert not await peer.cache.make_room(10**9)
        assert peer.store.used > 0


async def test_two_members_do_not_both_drop_the_last_copies(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        one, other = await _holding(world, "one"), await _holding(world, "other")
        await world.broker.store.drop(world.broker.study)

        async with trio.open_nursery() as nursery:
            for peer in (one, other):
                nursery.start_soon(peer.cache.make_room, 1)
        for peer in (one, other):
            await peer.cache.make_room(1)
        assert [peer.store.holds(world.broker.study) for peer in (one, other)].count(True) == 1


async def test_what_is_told(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await _holding(world, "a")

        async def whole(study: StudyId, version: int) -> bool:
            query = PossessionQuery(0, study.raw, version)
            reply = await world.broker.node.call(peer.identity.address, query, timeout=5)
            return bool(getattr(reply, "whole", None))

        assert await whole(world.broker.study, 1)
        assert not await whole(world.broker.study, 2)
        assert not await whole(StudyId(bytes(16)), 1)


async def test_the_store_is_kept_below_its_capacity(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        whole = world.broker.store.used
        peer = await world.add("a", store={"capacity": whole + 100})
        fetch = await opened(world, peer)
        await read_all(fetch)
        await eventually(lambda: fetch.transfer.state is TransferState.COMPLETE)
        with trio.move_on_after(1):
            await peer.cache.run()
        assert peer.store.used == 0
