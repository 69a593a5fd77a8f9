from pathlib import Path

import trio
import trio.testing

from p2pacs.identity.directory import Role
from p2pacs.ids import VirtualAddress
from p2pacs.line.hop_trips import HopTrips
from p2pacs.line.inflow import Inflow
from p2pacs.swarm.download.transfer import TransferState
from p2pacs.wire.messages.messages import Block, Message
from tests.simulation.world import Study, adsl, fetched, open_world, paced, replicas

Clock = trio.testing.MockClock


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


async def test_what_was_given_up_on_is_offered_again(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(32)
        [origin] = await replicas(world, study, 1)
        hospital = await world.add("hospital", nic=adsl(), line=paced())
        transfer = hospital.fetch(study, [origin])
        await trio.sleep(2)
        engine = hospital.host.engine
        hear = engine.news

        def deaf(member: VirtualAddress, message: Message) -> bool:
            return isinstance(message, Block) or hear(member, message)

        engine.news = deaf  # type: ignore[method-assign]
        await trio.sleep(10)
        engine.news = hear  # type: ignore[method-assign]
        await transfer.wait_complete()
        await fetched(hospital, study)


async def test_of_a_study_that_a_member_sends_that_member_is_asked_last(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    """The broker has it as any replica, and serves it."""
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        sender = await world.add("sender")
        study = Study(world.key, sender=sender.address)
        study.grow(40)
        await study.put(sender.store)
        await study.put(broker.store, range(38))
        hospital = await world.add("hospital")
        await hospital.host.mesh.connect(sender.address)
        await hospital.host.mesh.connect(broker.address)
        transfer = hospital.fetch(study, [sender])
        await transfer.wait_complete()
        assert transfer.sources[sender.address].bytes // study.chunk == 2


class NarrowInflow(Inflow):
    """A downlink that was found to bear so many bytes on their way."""

    def __init__(self, window: float) -> None:
        super().__init__(0.0, HopTrips())
        self._window = window
        self.refusals = 0

    @property
    def window(self) -> float:
        return self._window

    def full(self) -> None:
        self.refusals += 1


async def test_no_more_is_on_its_way_than_the_line_down_bears_and_it_is_full(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    """Offers wait for room instead of being refused: else lines that offered would pause."""
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(400)
        givers = await replicas(world, study, 8)
        hospital = await world.add("hospital", nic=adsl(), line=paced())
        downloads = hospital.host.engine.downloads
        narrow = NarrowInflow(6 * study.chunk)
        downloads._inflow = narrow  # as if a queue had been seen
        begin = trio.current_time()
        transfer = hospital.fetch(study, givers)
        most = 0
        while transfer.state is TransferState.FETCHING:
            await trio.sleep(0.05)
            download = downloads.get(study.id)
            most = max(most, download.sources.line_bytes if download else 0)
        await fetched(hospital, study)
        assert narrow.refusals
        assert most <= 7 * study.chunk
        assert trio.current_time() - begin < 1.1 * sum(map(len, study.data)) / 375_000
