from pathlib import Path

import pytest
from sqlalchemy import select

from p2pacs.errors import PacsUnreachableError, StudyNotFoundError
from p2pacs.identity.directory import Role
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages.messages import Replicate
from peer.app import Peer
from peer.db import replications
from peer.sync.replica import ReplicaTuning
from tests.peer.retrieval.test_study_fetch import by_uid, opened, read_all
from tests.peer.world import World, instances, open_world
from tests.waiting import eventually


async def _ordered(world: World, peer: Peer) -> None:
    await eventually(lambda: peer.identity.address in world.broker.host.mesh.links)
    assert world.broker.host.tell(peer.identity.address, Replicate(world.broker.study.raw))


async def _waiting(peer: Peer) -> int:
    return len(await peer.database.run(lambda c: c.execute(select(replications)).all()))


def _whole(peer: Peer, world: World) -> bool:
    held = {info.study: info.chunks_held for info in peer.store.studies()}
    (published,) = world.broker.store.studies()
    return held.get(world.broker.study) == published.chunks_held


async def test_what_the_broker_orders_is_fetched_without_a_key(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(3)
        await world.broker.publish(sent)
        replica = await world.add("r", Role.REPLICA)
        assert replica.blind
        await _ordered(world, replica)
        await eventually(lambda: _whole(replica, world))
        assert world.broker.asked == [("replicate", replica.identity.address)]
        assert (
            replica.host.engine.downloads.transfers[world.broker.study].priority
            is Priority.BACKGROUND
        )
        while await _waiting(replica):
            pass

        # It serves what it cannot read, the broker being away.
        hospital = await world.add("a")
        await eventually(lambda: hospital.index.by_uid(world.broker.uid) is not None)
        await world.stop("broker")
        fetch = await opened(world, hospital)
        assert await read_all(fetch) == by_uid(sent)
        assert set(fetch.transfer.sources) == {replica.identity.address}


async def test_a_hospital_does_not_replicate(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        peer = await world.add("a")
        await _ordered(world, peer)
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        assert not world.broker.asked


async def test_an_order_outlives_errors_and_restarts(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        replica = await world.add("r", Role.REPLICA)
        replica.replica.tuning = ReplicaTuning(retry_seconds=0.05)
        world.broker.staged = PacsUnreachableError("the PACS is off")
        await _ordered(world, replica)
        await eventually(lambda: len(world.broker.asked) > 2)
        await world.stop("r")
        world.broker.staged = None
        replica = await world.start("r", tmp_path / "r", replica.settings)
        await eventually(lambda: _whole(replica, world))


async def test_an_order_is_tried_again_as_soon_as_the_broker_is_back(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(2))
        replica = await world.add("r", Role.REPLICA)
        world.broker.staged = PacsUnreachableError("the PACS is off")
        await _ordered(world, replica)
        await eventually(lambda: world.broker.asked)
        await world.stop("broker")
        world.broker.staged = None
        await world.start_broker()
        await eventually(lambda: _whole(replica, world))


@pytest.mark.parametrize("error", [StudyNotFoundError("gone"), PacsUnreachableError("off")])
async def test_only_what_can_never_be_is_given_up(tmp_path: Path, error: Exception) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        world.broker.staged = error  # type: ignore[assignment]
        replica = await world.add("r", Role.REPLICA)
        await _ordered(world, replica)
        await eventually(lambda: world.broker.asked)
        if isinstance(error, StudyNotFoundError):
            while await _waiting(replica):
                pass
        else:
            assert await _waiting(replica) == 1
