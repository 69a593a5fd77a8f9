"""A study that a hospital sends: each chunk leaves its line once, however many want it."""

from pathlib import Path

import pytest
import trio
import trio.testing

from p2pacs.identity.directory import Role
from p2pacs.swarm.download.transfer import TransferState
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages.messages import SegmentAnswer, SegmentQuery
from tests.simulation.nic import Nic
from tests.simulation.world import SimMember, Study, World, adsl, fetched, open_world, paced

Clock = trio.testing.MockClock

CHUNKS = 120


async def sent(world: World, study: Study, versions: int = 1) -> SimMember:
    """The hospital that sends it, with its first version."""
    sender = next(iter(world.members.values()))
    study.grow(CHUNKS // versions, complete=versions == 1)
    await study.put(sender.store)
    await sender.host.engine.updated(study.id)
    return sender


def asked_for(member: SimMember) -> list[bytes]:
    """The segments of lists that it is asked for, from now on."""
    asked: list[bytes] = []
    swarms = member.host.engine.swarms
    answer = swarms.segment

    async def segment(query: SegmentQuery) -> SegmentAnswer:
        asked.append(query.chunk)
        return await answer(query)

    swarms.segment = segment  # type: ignore[method-assign]
    return asked


@pytest.mark.parametrize("readers", [1, 2])
@pytest.mark.parametrize("versions", [1, 6])
async def test_each_chunk_leaves_the_line_once(
    autojump_clock: Clock, tmp_path: Path, readers: int, versions: int
) -> None:
    async with open_world(tmp_path) as world:
        sender = await world.add("sender", nic=adsl(), line=paced())
        broker = await world.add("broker", Role.BROKER)
        replica = await world.add("replica", Role.REPLICA)
        others = [await world.add(f"reader {n}", nic=adsl(), line=paced()) for n in range(readers)]
        study = Study(world.key, sender=sender.address)
        await sent(world, study, versions)
        for member in (broker, replica, *others):
            await member.host.mesh.connect(sender.address)
        before, start = sender.nic.sent, trio.current_time()
        lists = asked_for(sender)
        all_of_them = [broker, replica, *others]
        transfers = [
            one.fetch(study, [other for other in [sender, *all_of_them] if other is not one])
            for one in all_of_them
        ]
        for version in range(1, versions):
            await trio.sleep(1)
            study.grow(CHUNKS // versions, complete=version == versions - 1)
            await study.put(sender.store)
            await sender.host.engine.updated(study.id)
        for transfer in transfers:
            await transfer.wait_complete()
        seconds = study.list.total_bytes / 100_000
        assert trio.current_time() - start < 1.07 * seconds
        assert sender.nic.sent - before < 1.03 * study.list.total_bytes
        assert len(lists) == len(set(lists))
        for member in all_of_them:
            await fetched(member, study)


@pytest.mark.parametrize("stored", [True, False])
async def test_who_waits_for_the_first_version_gets_it_at_once(
    autojump_clock: Clock, tmp_path: Path, *, stored: bool
) -> None:
    """Three round trips after it is out: its list, an offer, a chunk."""
    async with open_world(tmp_path) as world:
        sender = await world.add("sender", nic=adsl(), line=paced())
        broker = await world.add("broker", Role.BROKER)
        study = Study(world.key, sender=sender.address)
        if stored:  # there is a place for it already
            await sender.store.study(study.id)
        await broker.host.mesh.connect(sender.address)
        transfer = broker.fetch(study, [sender])
        await trio.sleep(5)
        await sent(world, study)
        out = trio.current_time()
        await transfer.watch.until(lambda: transfer.bytes_held > 0)
        chunk = study.list.size(0) / 100_000
        assert trio.current_time() - out < chunk + 6 * 0.021 + 0.1
        await transfer.wait_complete()
        await fetched(broker, study)


async def test_neighbours_on_a_lan_take_it_over_the_line_once(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    """The other hospital passes on what it got, once: its line is free for the last chunks."""
    async with open_world(tmp_path) as world:
        sender = await world.add("sender", nic=adsl(), line=paced())
        broker = await world.add("broker", Role.BROKER, nic=adsl(), line=paced())
        replica = await world.add("replica", Role.REPLICA, nic=adsl(), line=paced())
        reader = await world.add("reader", nic=adsl(), line=paced())
        broker.lan, replica.lan = Nic(), Nic()
        study = Study(world.key, sender=sender.address)
        await sent(world, study)
        all_of_them = [broker, replica, reader]
        for member in all_of_them:
            await member.host.mesh.connect(sender.address)
        before, start = reader.nic.sent, trio.current_time()
        transfers = [
            one.fetch(study, [other for other in [sender, *all_of_them] if other is not one])
            for one in all_of_them
        ]
        for transfer in transfers:
            await transfer.wait_complete()
        given = {a for a, of in transfers[1].sources.items() if of.bytes}
        assert given <= {sender.address, broker.address}
        taken = transfers[2].sources[sender.address].bytes
        assert reader.nic.sent - before < 1.1 * taken
        seconds = study.list.total_bytes / 100_000
        assert trio.current_time() - start < seconds + 1.5
        for member in all_of_them:
            await fetched(member, study)


async def test_a_neighbour_that_gets_nothing_is_not_waited_for(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    """The broker hears nothing of the one who has it."""
    async with open_world(tmp_path) as world:
        sender = await world.add("sender", nic=adsl(), line=paced())
        broker = await world.add("broker", Role.BROKER, nic=adsl(), line=paced())
        replica = await world.add("replica", Role.REPLICA, nic=adsl(), line=paced())
        holder = await world.add("holder", nic=adsl(), line=paced())
        broker.lan, replica.lan = Nic(), Nic()
        study = Study(world.key, sender=sender.address)
        await sent(world, study)
        await study.put(holder.store)
        sender.kill()
        await replica.host.mesh.connect(broker.address)
        waiting = broker.fetch(study, [])
        root = study.roots[-1]
        broker.host.engine.downloads.fetch(study.id, (), root)
        transfer = replica.fetch(study, [holder, broker])
        await transfer.wait_complete()
        await fetched(replica, study)
        waiting.cancel()


async def test_the_sender_serves_whoever_gets_it_nowhere_else(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    """The broker has it, and the reader is not linked to it."""
    async with open_world(tmp_path) as world:
        sender = await world.add("sender", nic=adsl(), line=paced())
        broker = await world.add("broker", Role.BROKER)
        study = Study(world.key, sender=sender.address)
        await sent(world, study)
        await broker.fetch(study, [sender]).wait_complete()
        broker.kill()
        reader = await world.add("reader", nic=adsl(), line=paced())
        await reader.fetch(study, [sender]).wait_complete()
        await fetched(reader, study)


async def test_an_emergency_that_is_sent_comes_before_what_goes_out_already(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    """The broker fetches both, no more urgently than the other one."""
    async with open_world(tmp_path) as world:
        sender = await world.add("sender", nic=adsl(), line=paced())
        broker = await world.add("broker", Role.BROKER)
        reader = await world.add("reader", nic=adsl(), line=paced())
        routine, urgent = (Study(world.key, seed, sender=sender.address) for seed in (1, 2))
        await sent(world, routine)
        for member in (broker, reader):
            await member.host.mesh.connect(sender.address)
        before = [one.fetch(routine, [sender, reader]) for one in (broker, reader)]
        await trio.sleep(10)
        await sent(world, urgent)
        start = trio.current_time()
        stat = reader.fetch(urgent, [sender, broker])
        stat.prioritise(Priority.STAT)
        home = broker.fetch(urgent, [sender, reader])
        await stat.wait_complete()
        assert trio.current_time() - start < 1.15 * urgent.list.total_bytes / 100_000 + 2
        assert not any(one.state is TransferState.COMPLETE for one in before)
        for transfer in (*before, home):
            await transfer.wait_complete()


async def test_the_line_has_enough_to_do_while_much_is_only_there(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        sender = await world.add("sender", nic=adsl(), line=paced())
        reader = await world.add("reader", nic=adsl(), line=paced())
        study = Study(world.key, sender=sender.address)
        await sent(world, study)
        engine = sender.host.engine
        assert not engine.is_busy(study.id)  # nobody takes it
        transfer = reader.fetch(study, [sender])
        await trio.sleep(2)
        assert engine.is_busy(study.id)
        await transfer.wait_complete()
        assert not engine.is_busy(study.id)
