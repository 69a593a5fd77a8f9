from pathlib import Path

import pytest
import trio
import trio.testing

from p2pacs.errors import DiskFullError, NoSourceError
from p2pacs.identity.directory import Role
from p2pacs.swarm.download.transfer import TransferState
from scripts.memory_store import MemoryStore
from tests.simulation.world import Study, adsl, fetched, open_world, paced, replicas

Clock = trio.testing.MockClock


async def test_a_restart_goes_on_with_what_it_has(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(64)
        sources = await replicas(world, study, 1)
        hospital = await world.add("hospital", nic=adsl(), line=paced())
        hospital.fetch(study, sources)
        await trio.sleep(10)
        hospital.kill()
        await trio.sleep(1)
        held = len((await hospital.store.study(study.id)).have)
        assert held > 20
        await hospital.start()
        transfer = hospital.fetch(study, sources)
        await transfer.wait_complete()
        await fetched(hospital, study)
        assert transfer.bytes_received == (64 - held) * study.chunk
        assert transfer.bytes_held == transfer.bytes_total == 64 * study.chunk


async def test_nobody_has_it(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER, start=False)
        study = Study(world.key)
        hospital = await world.add("hospital")
        other = await world.add("other")
        transfer = hospital.fetch(study, [other])
        with pytest.raises(NoSourceError, match=study.id.short):
            await transfer.wait_complete()
        assert transfer.state is TransferState.FAILED
        again = hospital.fetch(study, [other])
        assert again is not transfer
        study.grow(4)
        await study.put(other.store)
        other.kill()
        await trio.sleep(0.1)
        await other.start()
        await again.wait_complete()


async def test_only_some_chunks_are_left_in_the_world(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER, start=False)
        study = Study(world.key)
        study.grow(10)
        other = await world.add("other")
        await study.put(other.store, range(7))
        hospital = await world.add("hospital")
        transfer = hospital.fetch(study, [other])
        await transfer.wait_chunks(range(7))
        with pytest.raises(NoSourceError):
            await transfer.wait_chunks([8])
        assert len(transfer.have) == 7


async def test_a_full_disk_ends_the_transfer_and_harms_nothing(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(32)
        sources = await replicas(world, study, 1)
        hospital = await world.add("hospital", start=False)
        hospital.store = MemoryStore(capacity=10 * study.chunk)
        await hospital.start()
        transfer = hospital.fetch(study, sources)
        with pytest.raises(DiskFullError):
            await transfer.wait_complete()
        assert len(transfer.have) == 10
        assert hospital.up


async def test_a_rotten_chunk_is_fetched_again(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(32)
        sources = await replicas(world, study, 1)
        hospital = await world.add("hospital", nic=adsl(), line=paced())
        transfer = hospital.fetch(study, sources)
        await trio.sleep(5)
        chunks = await hospital.store.study(study.id)
        rotten = next(iter(chunks.have))
        chunks.have.discard(rotten)
        assert hospital.fetch(study, sources) is transfer
        await transfer.wait_complete()
        await fetched(hospital, study)
        chunks.have.discard(rotten)  # once more, when the transfer is over
        again = hospital.fetch(study, sources)
        assert again is not transfer
        await again.wait_complete()
        assert again.bytes_received == study.chunk
