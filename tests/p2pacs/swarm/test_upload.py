from pathlib import Path
from typing import cast

import trio
import trio.testing

from p2pacs.identity.directory import Role
from p2pacs.identity.keys import SigningKey
from p2pacs.ids import VirtualAddress
from p2pacs.swarm.connection import Connection
from p2pacs.swarm.memory import MemoryStore
from p2pacs.swarm.upload import Uploads
from p2pacs.wire.messages import Block, Message, Request
from tests.simulation.world import Study, adsl, fetched, open_world, paced

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
        broker = await world.add("broker", Role.BROKER, nic=adsl(), line=paced())
        study = Study(world.key)
        study.grow(32)
        await study.put(broker.store)
        ahead = await world.add("ahead", nic=adsl(), line=paced())
        await study.put(ahead.store, range(16))
        behind = await world.add("behind", nic=adsl(), line=paced())
        transfers = [member.fetch(study, []) for member in (ahead, behind)]
        await trio.sleep(5)
        gained = [transfer.bytes_received for transfer in transfers]
        assert gained[1] > 4 * gained[0]
        for transfer in transfers:
            await transfer.wait_complete()


class SlowLink:
    """A free link whose transport takes a batch only when it is told to."""

    paced = False

    def __init__(self) -> None:
        self.sent: list[int] = []
        self.waiting = trio.Event()
        self.free = trio.Event()

    def send(self, message: Message) -> None:
        raise AssertionError(message)

    async def send_blocks(self, *blocks: Block) -> None:
        self.waiting.set()
        await self.free.wait()
        self.sent += [block.number for block in blocks]


async def test_what_is_asked_for_while_the_last_batch_leaves_is_sent_too(
    autojump_clock: Clock, tmp_path: Path
) -> None:
    study = Study(SigningKey.generate())
    study.grow(4)
    store = MemoryStore()
    await study.put(store)
    chunks = await store.study(study.id)
    member, link = VirtualAddress(b"\xfd" + bytes(15)), SlowLink()
    links = cast(dict[VirtualAddress, Connection], {member: link})
    uploads = Uploads(links, lambda _study: chunks, lambda _member, _study: 0.0, None)
    async with trio.open_nursery() as nursery:
        await nursery.start(uploads.run)
        uploads.request(member, Request(bytes(study.id), [0, 1]))
        await link.waiting.wait()
        await trio.testing.wait_all_tasks_blocked()
        uploads.request(member, Request(bytes(study.id), [3, 2]))
        link.free.set()
        await trio.testing.wait_all_tasks_blocked()
        assert link.sent == [0, 1, 3, 2]
        assert uploads.bytes_sent == {member: 4 * study.chunk}
        nursery.cancel_scope.cancel()
