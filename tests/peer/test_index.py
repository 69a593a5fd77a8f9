from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from p2pacs.errors import CodingError, ManifestError, StaleVersionError
from p2pacs.identity.keys import StudyKey
from p2pacs.instance import EncodedInstance
from p2pacs.store import ChunkStore, StudyStore, open_store
from p2pacs.workers.coding import Workers, open_workers
from peer.index import LiveIndex
from tests.p2pacs.study.samples import KEY, STUDY, Shelf, instance


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with open_workers(1) as opened:
        yield opened


async def _kept(store: ChunkStore, shelf: Shelf) -> StudyStore:
    held = await store.study(STUDY)
    for number, data in shelf.chunks.items():
        await held.put(number, shelf.list.id(number), data)
    return held


async def _follow(index: LiveIndex, shelf: Shelf) -> None:
    assert shelf.root is not None
    await index.follow(shelf.root, shelf.list.copy())
    while index.parts:
        await index.load()


def _published(*instances: EncodedInstance, shelf: Shelf | None = None) -> Shelf:
    shelf = shelf or Shelf()
    shelf.publish(instances, chunk_bytes=4096)
    return shelf


async def test_numbers_stay_from_version_to_version(tmp_path: Path, workers: Workers) -> None:
    first = [instance(n) for n in (1, 2, 3)]
    shelf = _published(*first)
    async with open_store(tmp_path) as store:
        index = LiveIndex(KEY, await _kept(store, shelf), workers)
        assert index.version == 0
        await _follow(index, shelf)
        assert index.version == 1
        assert [await index.join(known) for known in index.known] == first

        changed = instance(2, PatientID="corrected")
        other = instance(4, SeriesInstanceUID="1.2.9")
        _published(changed, other, shelf=shelf)
        await _kept(store, shelf)
        await _follow(index, shelf)
        assert index.version == 2
        now = [await index.join(known) for known in index.known]
        assert now == [first[0], changed, first[2], other]
        assert [known.number for known in index.known] == [1, 2, 3, 4]
        assert [known.series for known in index.known] == [1, 1, 1, 2]


async def test_another_key_opens_nothing(tmp_path: Path, workers: Workers) -> None:
    shelf = _published(instance(1))
    async with open_store(tmp_path) as store:
        index = LiveIndex(StudyKey.generate(), await _kept(store, shelf), workers)
        with pytest.raises(CodingError):
            await _follow(index, shelf)
        assert index.version == 0


async def test_a_version_that_contradicts(tmp_path: Path, workers: Workers) -> None:
    shelf = _published(instance(1), instance(2))
    other = _published(instance(3))
    _published(instance(4), shelf=other)
    async with open_store(tmp_path) as store:
        index = LiveIndex(KEY, await _kept(store, shelf), workers)
        await _follow(index, shelf)
        assert other.root is not None
        with pytest.raises((StaleVersionError, ManifestError)):
            await index.follow(other.root, other.list)
        assert len(index.known) == 2
