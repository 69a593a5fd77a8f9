"""What happens to a transfer when members die, lie, poison or are slow."""

from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import evolve

from p2pacs.identity.directory import Role
from p2pacs.line.line import Line
from tests.simulation.nic import Nic
from tests.simulation.world import SimMember, Study, adsl, fetched, open_world, paced, replicas

Clock = trio.testing.MockClock


async def seconds_from(folder: Path, count: int) -> float:
    async with open_world(folder) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(128)
        sources = await replicas(world, study, count)
        hospital = await world.add("hospital", nic=adsl(), line=paced())
        start = trio.current_time()
        transfer = hospital.fetch(study, sources)
        await transfer.wait_complete()
        await fetched(hospital, study)
        assert set(transfer.sources) == {source.address for source in sources}
        return trio.current_time() - start


async def test_three_uploaders_are_nearly_three_times_as_fast_as_one(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "3").mkdir()
    one = await seconds_from(tmp_path / "1", 1)
    three = await seconds_from(tmp_path / "3", 3)
    ideal = 128 * 32 * 1024 / 100_000
    assert one < 1.15 * ideal
    assert one / three > 2.8


async def test_an_uploader_that_dies_costs_little(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(96)
        sources = await replicas(world, study, 3)
        hospital = await world.add("hospital", nic=adsl(), line=paced())
        start = trio.current_time()
        transfer = hospital.fetch(study, sources)
        await trio.sleep(3)
        sources[0].kill()
        await transfer.wait_complete()
        await fetched(hospital, study)
        left = 96 * 32 * 1024 - 3 * 300_000
        assert trio.current_time() - start < 3 + 1.2 * left / 200_000 + 1
        # what came from it is kept in the account
        assert transfer.sources[sources[0].address].bytes > 0
        assert sum(source.bytes for source in transfer.sources.values()) >= 96 * 32 * 1024


async def test_an_uploader_that_falls_silent_is_left_within_seconds(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(96)
        sources = await replicas(world, study, 3)
        hospital = await world.add("hospital", nic=adsl(), line=paced())
        start = trio.current_time()
        transfer = hospital.fetch(study, sources)
        await trio.sleep(3)
        sources[0].freeze()
        await transfer.wait_complete()
        await fetched(hospital, study)
        left = 96 * 32 * 1024 - 3 * 300_000
        assert trio.current_time() - start < 3 + 1.2 * left / 200_000 + 5


async def test_the_last_chunks_do_not_hang_on_the_slowest(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(64)
        slow = await world.add("slow", Role.REPLICA, nic=Nic(up=10_000), line=Line(uplink=80_000))
        await study.put(slow.store)
        sources = [slow, *await replicas(world, study, 2)]
        hospital = await world.add("hospital", nic=adsl(), line=paced())
        start = trio.current_time()
        transfer = hospital.fetch(study, sources)
        await transfer.wait_complete()
        ideal = 64 * 32 * 1024 / 210_000
        assert trio.current_time() - start < 1.2 * ideal
        assert hospital.nic.received < 1.12 * 64 * 32 * 1024


class Liar(SimMember):
    """Claims the whole study and has nothing."""

    def lie(self, study: Study) -> None:
        have = (1 << len(study.data)) - 1
        raw = (have << (-len(study.data) % 8)).to_bytes(-(-len(study.data) // 8), "big")
        self.host.engine._join = lambda member, message: self.host.mesh.links[member].send(  # type: ignore[method-assign]
            evolve(message, version=1, have=raw, fetching=False)
        )


async def test_a_liar_is_found_out_and_the_others_serve(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(64)
        liar = await world.add("liar", Role.HOSPITAL, start=False)
        liar.__class__ = Liar
        await liar.start()
        assert isinstance(liar, Liar)
        liar.lie(study)
        sources = await replicas(world, study, 2)
        hospital = await world.add("hospital", nic=adsl(), line=paced())
        start = trio.current_time()
        transfer = hospital.fetch(study, [liar, *sources])
        await transfer.wait_complete()
        await fetched(hospital, study)
        assert trio.current_time() - start < 1.3 * 64 * 32 * 1024 / 200_000
        assert liar.address not in {a for a, s in transfer.sources.items() if s.bytes}


async def test_a_poisoner_is_struck_and_quarantined(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(64)
        poisoner, *sources = await replicas(world, study, 3)
        chunks = await poisoner.store.study(study.id)
        for number in chunks.have:
            chunks._data[number] = bytes(study.chunk)
        hospital = await world.add("hospital", nic=adsl(), line=paced())
        transfer = hospital.fetch(study, [poisoner, *sources])
        await transfer.wait_complete()
        await fetched(hospital, study)
        assert poisoner.address not in hospital.host.mesh.links
        with pytest.raises(Exception, match="quarantine"):
            await hospital.host.mesh.connect(poisoner.address)


async def test_who_fetches_serves_meanwhile(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(64)
        sources = await replicas(world, study, 1)
        hospitals = [await world.add(f"hospital {n}", nic=adsl(), line=paced()) for n in range(2)]
        start = trio.current_time()
        transfers = [hospital.fetch(study, [*sources, *hospitals]) for hospital in hospitals]
        for hospital, transfer in zip(hospitals, transfers, strict=True):
            await transfer.wait_complete()
            await fetched(hospital, study)
        # one uplink that serves two in full would take twice as long
        assert trio.current_time() - start < 1.4 * 64 * 32 * 1024 / 100_000
        for one, other in ((0, 1), (1, 0)):
            assert transfers[one].sources[hospitals[other].address].bytes > 10 * study.chunk


async def test_without_the_broker_everything_goes_on(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(32)
        sources = await replicas(world, study, 2)
        hospital = await world.add("hospital", nic=adsl(), line=paced())
        broker.kill()
        transfer = hospital.fetch(study, sources)
        await transfer.wait_complete()
        await fetched(hospital, study)
