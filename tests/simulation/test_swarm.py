import contextlib
from pathlib import Path

import pytest
import trio
import trio.testing

from p2pacs.errors import DiskFullError, LinkClosedError, NoSourceError
from p2pacs.identity.directory import Role
from p2pacs.ids import VirtualAddress
from p2pacs.swarm.memory import MemoryStore
from p2pacs.swarm.paced import Line
from p2pacs.swarm.transfer import State
from p2pacs.wire.messages import Block, Message, Request
from tests.simulation.lines import Nic
from tests.simulation.world import SimMember, Study, World, open_world

Clock = trio.testing.MockClock


def adsl() -> Nic:
    return Nic(up=100_000, down=375_000, delay=0.0105)


def paced() -> Line:
    return Line(uplink=800_000, downlink=3_000_000)


async def replicas(world: World, study: Study, count: int) -> list[SimMember]:
    result = []
    for number in range(count):
        member = await world.add(f"replica {number}", Role.REPLICA, nic=adsl(), line=paced())
        await study.put(member.store)
        result.append(member)
    return result


async def fetched(member: SimMember, study: Study) -> None:
    """All is there and right."""
    chunks = await member.store.study(study.id)
    assert await chunks.read_many(range(len(study.data))) == study.data


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
            type(message)(bytes(study.id), 1, raw, False)
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
        assert transfer.state is State.FETCHING
        study.grow(4)
        await study.put(broker.store)
        await broker.host.engine.updated(study.id)
        await transfer.wait_complete()
        await fetched(hospital, study)


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
        assert transfer.state is State.FAILED
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


async def test_the_broker_gives_only_what_nobody_else_has(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(40)
        await study.put(broker.store)
        replica = await world.add("replica", Role.REPLICA, nic=adsl(), line=paced())
        await study.put(replica.store, range(38))
        hospital = await world.add("hospital")
        await hospital.host.mesh.connect(replica.address)
        await hospital.host.mesh.connect(broker.address)
        transfer = hospital.fetch(study, [replica])
        await transfer.wait_complete()
        given = transfer.sources[broker.address].bytes // study.chunk
        assert given == 2


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


async def test_both_dial_at_once_and_one_link_stays(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        one = await world.add("one", Role.BROKER)
        two = await world.add("two")
        await two.host.mesh.until_linked(one.address)
        three = await world.add("three")

        async def dial(here: SimMember, there: SimMember) -> None:
            await here.host.mesh.connect(there.address)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(dial, two, three)
            nursery.start_soon(dial, three, two)
        await trio.sleep(20)
        assert two.host.mesh.links[three.address].dialled
        assert not three.host.mesh.links[two.address].dialled
        assert len([c for c in two.host.mesh._all if c.member == three.address]) == 1


async def test_requests_survive_that_both_dialled_at_once(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study, other = Study(world.key, 1), Study(world.key, 2)
        for each in (study, other):
            each.grow(32)
        two = await world.add("two", nic=adsl(), line=paced())
        three = await world.add("three", nic=adsl(), line=paced())
        await study.put(two.store)
        await other.put(three.store)
        start = trio.current_time()
        transfers = [three.fetch(study, [two]), two.fetch(other, [three])]
        for transfer in transfers:
            await transfer.wait_complete()
        assert trio.current_time() - start < 1.25 * 32 * study.chunk / 100_000


async def test_a_revoked_member_is_out_at_once(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(64)
        sources = await replicas(world, study, 1)
        hospital = await world.add("hospital", nic=adsl(), line=paced())
        transfer = hospital.fetch(study, sources)
        await trio.sleep(3)
        world.revoke(hospital)
        await trio.sleep(1)
        assert hospital.address not in sources[0].host.mesh.links
        held = len(transfer.have)
        await trio.sleep(20)
        assert hospital.address not in sources[0].host.mesh.links
        assert len(transfer.have) <= held + 1


async def test_data_that_nobody_asked_for_is_a_strike(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(8)
        pusher = await world.add("pusher")
        await study.put(pusher.store, range(4))
        hospital = await world.add("hospital")
        hospital.fetch(study, [pusher])
        await trio.sleep(1)
        link = pusher.host.mesh.links[hospital.address]
        block = Block(bytes(study.id), 7, 0, study.chunk, bytes(study.chunk))
        with contextlib.suppress(LinkClosedError):
            for _ in range(64):
                await link.send_block(block)
        await trio.sleep(0.2)
        assert hospital.host.mesh._standing._strikes[pusher.address]


async def test_a_requester_that_asks_for_what_is_not_here_is_refused(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        hospital = await world.add("hospital")
        heard: list[Message] = []

        def hear(_member: VirtualAddress, message: Message) -> bool:
            heard.append(message)
            return True

        await hospital.host.mesh.connect(broker.address)
        hospital.host.engine.news = hear  # type: ignore[method-assign]
        hospital.host.mesh.links[broker.address].send(Request(bytes(16), [3, 1]))
        await trio.sleep(1)
        assert [getattr(message, "numbers", None) for message in heard] == [[1, 3]]


async def test_the_line_that_was_down_is_dialled_again(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        hospital = await world.add("hospital")
        await hospital.host.mesh.until_linked(broker.address)
        broker.kill()
        await trio.sleep(120)
        assert broker.address not in hospital.host.mesh.links
        assert hospital.dials < 20
        await broker.start()
        with trio.fail_after(60):
            await hospital.host.mesh.until_linked(broker.address)


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


async def test_a_dropped_study_is_no_longer_served(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(8)
        await study.put(broker.store)
        one, two = await world.add("one"), await world.add("two")
        await one.fetch(study, []).wait_complete()
        await one.store.drop(study.id)
        one.host.engine.dropped(study.id)
        transfer = two.fetch(study, [one])
        await transfer.wait_complete()
        assert {a for a, s in transfer.sources.items() if s.bytes} == {broker.address}
        again = one.fetch(study, [two])
        await again.wait_complete()
        await fetched(one, study)
