from pathlib import Path

import trio
import trio.testing

from p2pacs.identity.directory import Role
from p2pacs.swarm.download.transfer import TransferState
from tests.simulation.world import Study, fetched, open_world

Clock = trio.testing.MockClock


async def test_a_study_that_grows_is_followed_to_its_end(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(8, complete=False)
        await study.put(broker.store)
        hospital = await world.add("hospital")
        replica = await world.add("replica", Role.REPLICA)
        transfers = [member.fetch(study, [broker, replica]) for member in (hospital, replica)]
        for transfer in transfers:
            assert (await transfer.wait_version(0)).version == 1
            await transfer.wait_chunks(range(8))
        for version in range(2, 6):
            await trio.sleep(5)
            study.grow(300, complete=version == 5)
            await study.put(broker.store)
            await broker.host.engine.updated(study.id)
            for transfer in transfers:
                assert (await transfer.wait_version(version - 1)).version == version
        for transfer in transfers:
            await transfer.wait_complete()
        await fetched(hospital, study)
        await fetched(replica, study)


async def test_a_study_that_is_not_yet_published_is_awaited(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        study = Study(world.key)
        hospital = await world.add("hospital")
        transfer = hospital.fetch(study, [])
        await trio.sleep(60)
        assert transfer.state is TransferState.FETCHING
        study.grow(4)
        await study.put(broker.store)
        await broker.host.engine.updated(study.id)
        await transfer.wait_complete()
        await fetched(hospital, study)
