from pathlib import Path

import trio
import trio.testing

from p2pacs.identity.directory import Role
from p2pacs.ids import VirtualAddress
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
