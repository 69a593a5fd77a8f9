from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import (
    CodingError,
    CorruptStoreError,
    NotFoundError,
    StaleVersionError,
    WorkerError,
)
from p2pacs.identity.keys import StudyKey
from p2pacs.limits import MIB
from p2pacs.store import ChunkStore, StudyStore, open_store
from p2pacs.study.gathered import Gathered
from p2pacs.workers.coding import Workers, open_workers
from p2pacs.workers.pool import open_pool
from peer.retrieval.instances.decoded_cache import CacheTuning, open_decoded_cache
from peer.retrieval.instances.live_index import LiveIndex
from tests.p2pacs.study.samples import KEY, STUDY, Shelf, instance, smooth
from tests.p2pacs.workers.kept import KeptWorker
from tests.waiting import eventually


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with open_workers(1, start=KeptWorker.start) as opened:
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


async def test_a_version_is_read_when_its_instances_are_known(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not as soon as a thread has read them: somebody else would find that one is not there."""
    shelf = _published(instance(1))
    async with open_store(tmp_path) as store:
        index = LiveIndex(KEY, await _kept(store, shelf), workers)
        seen: list[tuple[int, int]] = []
        in_thread = trio.to_thread.run_sync

        async def looked_at(*given: Any) -> Any:
            result = await in_thread(*given)
            seen.append((index.version, len(index.known)))
            return result

        monkeypatch.setattr(trio.to_thread, "run_sync", looked_at)
        await _follow(index, shelf)
        assert set(seen) == {(0, 0)}
        assert (index.version, len(index.known)) == (1, 1)


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
        with pytest.raises(StaleVersionError, match=r"version 2 .* contradicts 1"):
            await index.follow(other.root, other.list)
        assert len(index.known) == 2


async def test_images_are_decoded_by_processes_and_nothing_else_is(tmp_path: Path) -> None:
    image, report = instance(1), instance(2, PixelData=None)
    shelf = _published(image, report)
    async with open_store(tmp_path) as store, open_pool(1, start=KeptWorker.start) as pool:
        index = LiveIndex(KEY, await _kept(store, shelf), Workers(pool))
        await _follow(index, shelf)
        assert await index.join(index.known[1]) == report
        assert not pool.processes
        assert await index.join(index.known[0]) == image
        assert len(pool.processes) == 1


class Doomed(Workers):
    """Every process dies."""

    def __init__(self) -> None:
        pass

    async def decode(self, gathered: Gathered) -> EncodedInstance:
        raise WorkerError("a worker process ended (SIGSEGV)")


async def test_an_image_that_crashes_its_decoder_does_not_decode(tmp_path: Path) -> None:
    shelf = _published(instance(1))
    async with open_store(tmp_path) as store:
        index = LiveIndex(KEY, await _kept(store, shelf), Doomed())
        await _follow(index, shelf)
        with pytest.raises(CodingError, match="SIGSEGV"):
            await index.join(index.known[0])


async def test_what_was_decoded_is_not_decoded_again(tmp_path: Path, workers: Workers) -> None:
    image, report = instance(1), instance(2, PixelData=None)
    shelf = _published(image, report)
    async with (
        open_store(tmp_path) as store,
        open_decoded_cache(tmp_path, MIB, CacheTuning(reserve=0)) as decoded,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(decoded.run)
        held = await _kept(store, shelf)
        index = LiveIndex(KEY, held, workers, decoded)
        await _follow(index, shelf)
        assert [await index.join(known) for known in index.known] == [image, report]
        await eventually(lambda: decoded.holds(index.known[0].entry))
        assert len(decoded) == 1  # what needs no image codec is soon made again
        again = LiveIndex(KEY, held, Doomed(), decoded)
        await _follow(again, shelf)
        assert [await again.join(known) for known in again.known] == [image, report]
        assert await again.decoded(again.known[0]) == image
        nursery.cancel_scope.cancel()


async def test_a_preview_of_a_rotten_chunk(tmp_path: Path, workers: Workers) -> None:
    shelf = _published(smooth(1))
    async with open_store(tmp_path) as store:
        held = await _kept(store, shelf)
        index = LiveIndex(KEY, held, workers)
        await _follow(index, shelf)
        [known] = index.known
        (coarse, numbers), (finest, _) = known.levels
        assert (coarse > 0, finest) == (True, 0)
        assert (await index.preview(known, 1, 0)).picture.rows == 256
        await held.flush()
        again = LiveIndex(KEY, held, workers)
        await _follow(again, shelf)
        [file] = tmp_path.rglob("*.chunks")
        file.write_bytes(bytes(file.stat().st_size))
        with pytest.raises(CorruptStoreError):
            await again.preview(known, 1, coarse)
        assert not any(number in held.have for number in numbers)  # it is fetched again
        with pytest.raises(NotFoundError):
            await again.preview(known, 1, coarse)
