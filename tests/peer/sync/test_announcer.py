from pathlib import Path

from p2pacs.identity.directory import Role
from tests.peer.retrieval.test_study_fetch import opened, read_all
from tests.peer.world import World, instances, open_world
from tests.waiting import eventually


def _said(world: World) -> list[tuple[int, bool, bool]]:
    return [(news.version, news.held, news.complete) for _, news in world.broker.announced]


async def test_the_broker_learns_of_beginning_and_end(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await world.add("a")
        await read_all(await opened(world, peer))
        await eventually(lambda: (1, True, True) in _said(world))
        assert _said(world)[0][1:] == (True, False)
        assert {member for member, _ in world.broker.announced} == {peer.identity.address}


async def test_everything_is_told_again_after_a_restart(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        peer = await world.add("a")
        fetch = await opened(world, peer)
        await read_all(fetch)
        await fetch.transfer.wait_complete()
        await world.stop("a")
        world.broker.announced.clear()
        await world.start("a", tmp_path / "a", peer.settings)
        await eventually(lambda: _said(world) == [(1, True, True)])


async def test_a_replica_tells_too(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        replica = await world.add("r", Role.REPLICA)
        replica.replica.order(world.broker.study)
        await eventually(lambda: (1, True, True) in _said(world))
