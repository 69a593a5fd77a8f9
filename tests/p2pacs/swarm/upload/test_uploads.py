from pathlib import Path

import trio
import trio.testing

from p2pacs.errors import BusyError
from p2pacs.identity.directory import Role
from p2pacs.ids import VirtualAddress
from p2pacs.wire.messages.messages import Join, Message, Offer, Refuse, Request
from tests.simulation.world import Study, adsl, fetched, open_world, paced, replicas

Clock = trio.testing.MockClock


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


async def test_a_paced_line_refuses_what_it_did_not_offer(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(16)
        [origin] = await replicas(world, study, 1)
        hospital = await world.add("hospital")
        heard: list[Message] = []

        def hear(_member: VirtualAddress, message: Message) -> bool:
            heard.append(message)
            return True

        await hospital.host.mesh.connect(origin.address)
        hospital.host.engine.news = hear  # type: ignore[method-assign]
        link = hospital.host.mesh.links[origin.address]
        link.send(Join(bytes(study.id), 1, b"", True, 2, False))
        await trio.sleep(1)
        joined, offer = heard
        assert isinstance(joined, Join)
        assert joined.offers
        assert isinstance(offer, Offer)
        link.send(Request(bytes(study.id), list(range(10))))
        await trio.sleep(0.2)
        refused = next(message for message in heard if isinstance(message, Refuse))
        assert refused.numbers == list(range(offer.chunks, 10))
        assert refused.code == BusyError.wire_code
        link.send(Request(bytes(study.id), []))  # the next offer: nothing is wanted
        link.send(Request(bytes(study.id), [11]))
        await trio.sleep(1)
        refusals = [message.numbers for message in heard if isinstance(message, Refuse)]
        assert refusals[1:] == [[11]]


async def test_only_what_cannot_be_read_is_refused(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(16)
        await study.put(broker.store)
        damaged = await world.add("damaged")
        await study.put(damaged.store)
        del (await damaged.store.study(study.id))._data[5]  # claimed, and not there
        hospital = await world.add("hospital")
        transfer = hospital.fetch(study, [damaged])
        await transfer.wait_complete()
        await fetched(hospital, study)
        given = {member: stats.bytes // study.chunk for member, stats in transfer.sources.items()}
        assert given == {damaged.address: 15, broker.address: 1}


async def test_the_least_complete_gets_the_line(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(32)
        [origin] = await replicas(world, study, 1)
        ahead = await world.add("ahead", nic=adsl(), line=paced())
        await study.put(ahead.store, range(16))
        behind = await world.add("behind", nic=adsl(), line=paced())
        transfers = [behind.fetch(study, [origin])]
        await trio.sleep(1)
        transfers.append(ahead.fetch(study, [origin]))
        await trio.sleep(4)
        gained = [transfer.bytes_received for transfer in transfers]
        assert gained[0] > 4 * gained[1]
        for transfer in transfers:
            await transfer.wait_complete()


async def test_what_went_to_whom_is_counted(autojump_clock: Clock, tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(16)
        [paced_one] = await replicas(world, study, 1)
        free_one = await world.add("free")
        await study.put(free_one.store)
        for number, source in enumerate((paced_one, free_one)):
            hospital = await world.add(f"hospital {number}")
            transfer = hospital.fetch(study, [source])
            await transfer.wait_complete()
            sent = source.host.engine.uploads.bytes_sent
            assert sent == {hospital.address: 16 * study.chunk}
            assert source.host.engine.uploads.paced.promised(hospital.address) == 0


async def test_a_study_that_the_store_dropped_is_refused(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    async with open_world(tmp_path) as world:
        broker = await world.add("broker", Role.BROKER)
        study = Study(world.key)
        study.grow(64)
        await study.put(broker.store)
        [origin] = await replicas(world, study, 1)
        hospital = await world.add("hospital", nic=adsl(), line=paced())
        transfer = hospital.fetch(study, [origin])
        await trio.sleep(5)
        assert origin.host.engine.uploads.paced.promised(hospital.address) > 0
        await origin.store.drop(study.id)
        await transfer.wait_complete()
        await fetched(hospital, study)
        assert origin.host.engine.uploads.paced.promised(hospital.address) == 0
        assert transfer.sources[broker.address].bytes > 0
