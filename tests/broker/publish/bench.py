"""A publisher on a real store and a PACS in memory, and what members would read of it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from attrs import define, field

from broker.publish import Publisher
from p2pacs.catalogue.records import StudyRecord
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.identity.keys import SigningKey
from p2pacs.ids import ChunkId, StudyId
from p2pacs.publish import PublishProgress
from p2pacs.store import ChunkStore, open_store
from p2pacs.study.coding import CodedInstance, code_plain
from p2pacs.study.manifest import ChunkList, Root, check_successor, load_root, load_segment
from p2pacs.study.reader import StudyReader
from p2pacs.study.study_index import StudyIndex
from tests.broker.fakes import FakeKeys, FakePacs

SIGNING = SigningKey.generate()


async def coded(instance: EncodedInstance) -> CodedInstance:
    """A coder without worker processes."""
    return await trio.to_thread.run_sync(code_plain, instance)


@define
class Bench:
    """Everything around a publisher."""

    store: ChunkStore
    pacs: FakePacs
    keys: FakeKeys
    publisher: Publisher = field(init=False)
    roots: list[Root] = field(factory=list)
    records: list[StudyRecord] = field(factory=list)
    grown: trio.Event = field(factory=trio.Event)
    """Set by the first version."""

    async def updated(self, study: StudyId) -> None:
        """As a follower: every version must extend the one before."""
        files = await self.store.study(study)
        assert files.root is not None
        root = load_root(files.root, SIGNING.public, study)
        mine = [known for known in self.roots if known.study == study]
        if mine:
            check_successor(mine[-1], root)
        assert all(number in files.have for number in range(root.chunks))
        self.roots.append(root)
        self.grown.set()

    async def completed(self, record: StudyRecord) -> None:
        await trio.lowlevel.checkpoint()
        self.records.append(record)

    async def publish(self, uid: str, *, everything: bool = False) -> PublishProgress:
        progress = self.publisher.stage(uid, everything=everything)
        await progress.wait()
        return progress

    async def index(self, uid: str) -> StudyIndex:
        """What a member with the key knows of the newest version."""
        return (await self._read(uid)).index

    async def held(self, uid: str) -> dict[str, EncodedInstance]:
        """What a member with the key reads of the newest version."""
        reader, files = await self._read(uid), await self.store.study(self.keys.id_of(uid))
        return {
            uid: reader.join(entry, files.load) for uid, entry in reader.index.instances.items()
        }

    async def _read(self, uid: str) -> StudyReader:
        study = self.keys.id_of(uid)
        files = await self.store.study(study)
        assert files.root is not None
        root = load_root(files.root, SIGNING.public, study)
        chunks = ChunkList()
        for number, name in enumerate(root.segments):
            raw = await files.segment(name)
            assert raw is not None
            chunks.extend(load_segment(raw, root, number))
        for number in range(root.chunks):
            assert ChunkId.of(await files.read(number)) == chunks.id(number)
        reader = StudyReader(self.keys.keys[study], root, chunks)
        while not reader.whole:
            reader.load_part(files.load)
        return reader

    def versions(self, uid: str) -> list[int]:
        study = self.keys.id_of(uid)
        return [root.version for root in self.roots if root.study == study]


@asynccontextmanager
async def bench(
    folder: Path,
    *instances: EncodedInstance,
    keys: FakeKeys | None = None,
    capacity: int | None = None,
    **options: Any,
) -> AsyncIterator[Bench]:
    """A running publisher; ``options`` go to `Publisher`."""
    pacs = options.pop("pacs", None) or FakePacs(instances)
    make_room: Callable[[Bench], Any] | None = options.pop("make_room", None)
    async with open_store(folder / "store", capacity=capacity) as store:
        made = Bench(store, pacs, keys or FakeKeys())
        if make_room is not None:
            options["make_room"] = make_room(made)
        made.publisher = Publisher(
            pacs,
            store,
            made.keys,
            SIGNING,
            options.pop("coder", coded),
            updated=made.updated,
            completed=made.completed,
            **options,
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(made.publisher.run)
            yield made
            nursery.cancel_scope.cancel()
