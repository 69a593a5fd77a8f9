from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import (
    CodingError,
    StaleVersionError,
)
from p2pacs.identity.keys import StudyKey
from p2pacs.store import ChunkStore, StudyStore, open_store
from p2pacs.workers.coding import Workers, open_workers
from peer.retrieval.instances.instance_reader import InstanceReader
from peer.retrieval.instances.live_index import LiveIndex
from tests.p2pacs.study.samples import KEY, STUDY, Shelf, instance
from tests.p2pacs.workers.kept import KeptWorker


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with open_workers(1, start=KeptWorker.start) as opened:
        yield opened


async def kept(store: ChunkStore, shelf: Shelf) -> StudyStore:
    held = await store.study(STUDY)
    for number, data in shelf.chunks.items():
        await held.put(number, shelf.list.id(number), data)
    return held


async def follow_all(index: LiveIndex, shelf: Shelf) -> None:
    assert shelf.root is not None
    await index.follow(shelf.root, shelf.list.copy())
    while index.parts:
        await index.load()


def published(*instances: EncodedInstance, shelf: Shelf | None = None) -> Shelf:
    shelf = shelf or Shelf()
    shelf.publish(instances, chunk_bytes=4096)
    return shelf


async def test_numbers_stay_from_version_to_version(tmp_path: Path, workers: Workers) -> None:
    first = [instance(n) for n in (1, 2, 3)]
    shelf = published(*first)
    async with open_store(tmp_path) as store:
        held = await kept(store, shelf)
        index = LiveIndex(KEY, held)
        reader = InstanceReader(index, held, workers)
        assert index.version == 0
        await follow_all(index, shelf)
        assert index.version == 1
        assert [await reader.join(known) for known in index.known] == first

        changed = instance(2, PatientID="corrected")
        other = instance(4, SeriesInstanceUID="1.2.9")
        published(changed, other, shelf=shelf)
        await kept(store, shelf)
        await follow_all(index, shelf)
        assert index.version == 2
        now = [await reader.join(known) for known in index.known]
        assert now == [first[0], changed, first[2], other]
        assert [known.number for known in index.known] == [1, 2, 3, 4]
        assert [known.series for known in index.known] == [1, 1, 1, 2]


async def test_a_version_is_read_when_its_instances_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not as soon as a thread has read them: somebody else would find that one is not there."""
    shelf = published(instance(1))
    async with open_store(tmp_path) as store:
        index = LiveIndex(KEY, await kept(store, shelf))
        seen: list[tuple[int, int]] = []
        in_thread = trio.to_thread.run_sync

        async def looked_at(*given: Any) -> Any:
            result = await in_thread(*given)
            seen.append((index.version, len(index.known)))
            return result

        monkeypatch.setattr(trio.to_thread, "run_sync", looked_at)
        await follow_all(index, shelf)
        assert set(seen) == {(0, 0)}
        assert (index.version, len(index.known)) == (1, 1)


async def test_another_key_opens_nothing(tmp_path: Path) -> None:
    shelf = published(instance(1))
    async with open_store(tmp_path) as store:
        index = LiveIndex(StudyKey.generate(), await kept(store, shelf))
        with pytest.raises(CodingError):
            await follow_all(index, shelf)
        assert index.version == 0


async def test_a_version_that_contradicts(tmp_path: Path) -> None:
    shelf = published(instance(1), instance(2))
    other = published(instance(3))
    published(instance(4), shelf=other)
    async with open_store(tmp_path) as store:
        index = LiveIndex(KEY, await kept(store, shelf))
        await follow_all(index, shelf)
        assert other.root is not None
        with pytest.raises(StaleVersionError, match=r"version 2 .* contradicts 1"):
            await index.follow(other.root, other.list)
        assert len(index.known) == 2
