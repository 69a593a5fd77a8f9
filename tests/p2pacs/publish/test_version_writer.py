from functools import partial
from pathlib import Path

import pytest
import trio

from p2pacs.errors import DiskFullError
from p2pacs.identity.keys import StudyKey
from p2pacs.ids import StudyId
from p2pacs.publish import PublishProgress
from p2pacs.publish.version_writer import PublishHooks, VersionWriter
from p2pacs.store import ChunkStore, open_store
from p2pacs.study.builder import StudyBuilder
from p2pacs.study.coding import CodedInstance, code
from p2pacs.study.manifest import load_root, sign_root
from tests.broker.publish.bench import SIGNING
from tests.conformance.instances import make

UID = "1.2.1"
STUDY = StudyId(bytes(16))


def coded(number: int) -> CodedInstance:
    return code(make(UID, 1, number))


class Published:
    """A writer on a store, and what it announced."""

    def __init__(self) -> None:
        self.announced: list[tuple[int, bool]] = []
        self.room = 0
        self.busy = False

    async def announce(self, _study: StudyId, version: int, complete: bool) -> None:
        await trio.lowlevel.checkpoint()
        self.announced.append((version, complete))

    async def make_room(self) -> bool:
        await trio.lowlevel.checkpoint()
        self.room += 1
        return False

    async def writer(self, store: ChunkStore) -> VersionWriter:
        return VersionWriter(
            PublishProgress(STUDY, UID),
            StudyBuilder(STUDY, StudyKey.generate(), UID),
            await store.study(STUDY),
            partial(sign_root, key=SIGNING),
            PublishHooks(self.announce, self.make_room, lambda study: self.busy),
        )


async def test_versions_come_when_due(tmp_path: Path, autojump_clock: object) -> None:
    published = Published()
    async with open_store(tmp_path) as store:
        writer = await published.writer(store)
        assert writer.due == float("inf")
        assert await writer.append([coded(1)]) == []
        await writer.cut_if_due()
        assert published.announced == [(1, False)]
        await writer.append([coded(2)])
        await writer.cut_if_due()
        assert len(published.announced) == 1
        await trio.sleep_until(writer.due)
        await writer.cut_if_due()
        assert await writer.append([coded(2)]) == []
        assert writer.due == float("inf")
        await writer.cut(complete=True)
        await writer.cut(complete=True)
        assert published.announced == [(1, False), (2, False), (3, True)]
        assert writer.instances == 2


async def test_while_the_line_has_enough_to_do_a_version_waits(
    tmp_path: Path, autojump_clock: object
) -> None:
    published = Published()
    async with open_store(tmp_path) as store:
        writer = await published.writer(store)
        published.busy = True
        await writer.append([coded(1)])
        for _ in range(3):
            await writer.cut_if_due()
            assert not published.announced
            assert writer.due == trio.current_time() + 1
            await trio.sleep(1)
        published.busy = False
        await writer.cut_if_due()
        assert published.announced == [(1, False)]


async def test_what_was_announced_is_on_disk(tmp_path: Path) -> None:
    published = Published()
    async with open_store(tmp_path) as store:
        writer = await published.writer(store)
        await writer.append([coded(1)])
        await writer.cut(complete=True)
    async with open_store(tmp_path) as store:
        files = await store.study(STUDY)
        assert files.root is not None
        root = load_root(files.root, SIGNING.public, STUDY)
        assert root.chunks == writer.chunks_out == len(files.have)
        assert [await files.segment(name) is not None for name in root.segments] == [True]


async def test_a_full_store_is_recycled_once_and_announces_nothing(tmp_path: Path) -> None:
    published = Published()
    async with open_store(tmp_path, capacity=100) as store:
        writer = await published.writer(store)
        await writer.append([coded(1)])
        with pytest.raises(DiskFullError):
            await writer.cut(complete=True)
        assert published.announced == []
        assert published.room == 1
        await (await store.study(STUDY)).cut_back(0)
        assert store.used == 0
