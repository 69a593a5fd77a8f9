from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import (
    CodingError,
    CorruptStoreError,
    NotFoundError,
    WorkerError,
)
from p2pacs.limits import MIB
from p2pacs.store import open_store
from p2pacs.study.gathered import Gathered
from p2pacs.workers.coding import Workers, open_workers
from p2pacs.workers.pool import open_pool
from peer.retrieval.instances.decoded_cache import CacheTuning, open_decoded_cache
from peer.retrieval.instances.instance_reader import InstanceReader
from peer.retrieval.instances.live_index import LiveIndex
from tests.p2pacs.study.samples import KEY, instance, smooth
from tests.p2pacs.workers.kept import KeptWorker
from tests.peer.retrieval.instances.test_live_index import follow_all, kept, published
from tests.waiting import eventually


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    async with open_workers(1, start=KeptWorker.start) as opened:
        yield opened


async def test_images_are_decoded_by_processes_and_nothing_else_is(tmp_path: Path) -> None:
    image, report = instance(1), instance(2, PixelData=None)
    shelf = published(image, report)
    async with open_store(tmp_path) as store, open_pool(1, start=KeptWorker.start) as pool:
        held = await kept(store, shelf)
        index = LiveIndex(KEY, held)
        reader = InstanceReader(index, held, Workers(pool))
        await follow_all(index, shelf)
        assert await reader.join(index.known[1]) == report
        assert not pool.processes
        assert await reader.join(index.known[0]) == image
        assert len(pool.processes) == 1


class Doomed(Workers):
    """Every process dies."""

    def __init__(self) -> None:
        pass

    async def decode(self, gathered: Gathered) -> EncodedInstance:
        raise WorkerError("a worker process ended (SIGSEGV)")


async def test_an_image_that_crashes_its_decoder_does_not_decode(tmp_path: Path) -> None:
    shelf = published(instance(1))
    async with open_store(tmp_path) as store:
        held = await kept(store, shelf)
        index = LiveIndex(KEY, held)
        reader = InstanceReader(index, held, Doomed())
        await follow_all(index, shelf)
        with pytest.raises(CodingError, match="SIGSEGV"):
            await reader.join(index.known[0])


async def test_what_was_decoded_is_not_decoded_again(tmp_path: Path, workers: Workers) -> None:
    image, report = instance(1), instance(2, PixelData=None)
    shelf = published(image, report)
    async with (
        open_store(tmp_path) as store,
        open_decoded_cache(tmp_path, MIB, CacheTuning(reserve=0)) as decoded,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(decoded.run)
        held = await kept(store, shelf)
        index = LiveIndex(KEY, held)
        reader = InstanceReader(index, held, workers, decoded)
        await follow_all(index, shelf)
        assert [await reader.join(known) for known in index.known] == [image, report]
        await eventually(lambda: decoded.holds(index.known[0].entry))
        assert len(decoded) == 1  # what needs no image codec is soon made again
        later = LiveIndex(KEY, held)
        again = InstanceReader(later, held, Doomed(), decoded)
        await follow_all(later, shelf)
        assert [await again.join(known) for known in later.known] == [image, report]
        assert await again.decoded(later.known[0]) == image
        nursery.cancel_scope.cancel()


async def test_a_preview_of_a_rotten_chunk(tmp_path: Path, workers: Workers) -> None:
    shelf = published(smooth(1))
    async with open_store(tmp_path) as store:
        held = await kept(store, shelf)
        index = LiveIndex(KEY, held)
        reader = InstanceReader(index, held, workers)
        await follow_all(index, shelf)
        [known] = index.known
        (coarse, numbers), (finest, _) = known.levels
        assert (coarse > 0, finest) == (True, 0)
        assert (await reader.preview(known, 1, 0)).picture.rows == 256
        await held.flush()
        later = LiveIndex(KEY, held)
        again = InstanceReader(later, held, workers)
        await follow_all(later, shelf)
        [file] = tmp_path.rglob("*.chunks")
        file.write_bytes(bytes(file.stat().st_size))
        with pytest.raises(CorruptStoreError):
            await again.preview(known, 1, coarse)
        assert not any(number in held.have for number in numbers)  # it is fetched again
        with pytest.raises(NotFoundError):
            await again.preview(known, 1, coarse)
