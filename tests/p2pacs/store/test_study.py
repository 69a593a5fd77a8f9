import threading
from pathlib import Path

import pytest
import trio

from p2pacs.errors import CorruptStoreError, NotFoundError, UsageError
from p2pacs.ids import ChunkId
from p2pacs.limits import CHUNK_BYTES, STUDY_CHUNKS
from p2pacs.store import StudyStore, open_store
from tests.p2pacs.store.samples import STUDY, chunk, fill


async def test_held_and_readable_at_once(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        await study.put(*chunk(5))
        assert list(study.have) == [5]
        assert await study.read(5) == chunk(5)[2]
        assert study.load(5) == chunk(5)[2]
        assert (study.size(4), study.size(5)) == (0, len(chunk(5)[2]))
        await study.flush()
        assert (study.size(4), study.size(5)) == (0, len(chunk(5)[2]))
        assert await study.read(5, verify=True) == chunk(5)[2]


async def test_many_at_once_in_the_order_asked(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        await fill(study, range(10))
        await study.flush()
        await fill(study, range(10, 20))
        numbers = [15, 3, 12, 0, 19]
        expected = [chunk(number)[2] for number in numbers]
        assert await study.read_many(numbers) == expected
        assert await study.read_many(numbers, verify=True) == expected
        assert study.load_many([]) == []


async def test_what_is_not_held(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        await study.put(*chunk(1))
        with pytest.raises(NotFoundError, match="chunk 0 "):
            await study.read(0)
        with pytest.raises(NotFoundError):
            study.load_many([1, 7])


async def test_the_same_chunk_twice_is_kept_once(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        for _ in range(3):
            await study.put(*chunk(1))
            await study.flush()
        assert store.used == 1000
        assert (tmp_path / "chunks" / f"{STUDY}.chunks").stat().st_size == 1000


@pytest.mark.parametrize(
    ("number", "size"), [(-1, 10), (STUDY_CHUNKS, 10), (0, 0), (0, CHUNK_BYTES + 1)]
)
async def test_impossible_chunks(tmp_path: Path, number: int, size: int) -> None:
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        with pytest.raises(UsageError):
            await study.put(number, ChunkId(bytes(32)), bytes(size))
        assert not study.have


def rot(folder: Path, number: int) -> None:
    path = folder / "chunks" / f"{STUDY}.chunks"
    data = bytearray(path.read_bytes())
    data[data.index(chunk(number)[2]) + 500] ^= 1
    path.write_bytes(data)


async def test_a_rotten_chunk_is_dropped_and_may_come_again(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        await fill(study, range(5))
        await study.flush()
        rot(tmp_path, 3)
        assert await study.read(2, verify=True) == chunk(2)[2]
        with pytest.raises(CorruptStoreError, match="chunk 3 "):
            await study.read_many([2, 3, 4], verify=True)
        assert list(study.have) == [0, 1, 2, 4]
        assert store.used == 4000
        with pytest.raises(NotFoundError):
            await study.read(3)
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert list(study.have) == [0, 1, 2, 4]
        await study.put(*chunk(3))
        assert await study.verify() == []
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert list(study.have) == [0, 1, 2, 3, 4]
        assert await study.verify() == []


async def test_scrubbing_finds_all_rotten_chunks(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        await fill(study, range(8))
        await study.flush()
        rot(tmp_path, 2)
        rot(tmp_path, 6)
        assert await study.verify([0, 1, 2, 99]) == [2]
        assert await study.verify() == [6]
        assert len(study.have) == 6


async def test_a_chunk_that_is_lost_while_running(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        await fill(study, range(3))
        await study.flush()
        with (tmp_path / "chunks" / f"{STUDY}.chunks").open("r+b") as file:
            file.truncate(2500)
        with pytest.raises(CorruptStoreError):
            await study.read(2)
        with pytest.raises(CorruptStoreError):
            await study.read(2, verify=True)
        assert list(study.have) == [0, 1]


async def test_roots_and_segments(tmp_path: Path) -> None:
    old, new = ChunkId.of(b"old"), ChunkId.of(b"new")
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert (study.root, study.version) == (None, 0)
        await study.put_segment(old, b"old")
        await study.put_root(b"root 1", version=1, segments=[old])
        await study.put_segment(new, b"new")
        await study.flush()
        await study.put_root(b"root 2", version=2, segments=[new])
        assert await study.segment(old) is None
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert (study.root, study.version) == (b"root 2", 2)
        assert await study.segment(new) == b"new"
        assert await study.segment(old) is None


async def test_a_segment_that_is_listed_again(tmp_path: Path) -> None:
    segment = ChunkId.of(b"segment")
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        await study.put_segment(segment, b"segment")
        await study.put_root(b"root", segments=[])
        await study.put_segment(segment, b"segment")
        await study.put_root(b"root")
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert await study.segment(segment) == b"segment"


async def test_threads_read_while_chunks_are_written(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        stop = threading.Event()

        def read() -> int:
            count = 0
            while not stop.is_set() or count == 0:
                for number in range(len(study.have)):
                    assert study.load(number) == chunk(number)[2]
                    count += 1
            return count

        async def write() -> None:
            for first in range(0, 400, 40):
                await fill(study, range(first, first + 40))
                await study.flush()
            stop.set()

        async with trio.open_nursery() as nursery:
            await study.put(*chunk(0))
            nursery.start_soon(trio.to_thread.run_sync, read)
            nursery.start_soon(trio.to_thread.run_sync, read)
            nursery.start_soon(write)


async def test_is_used_by_one_study(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert isinstance(study, StudyStore)
        assert study.study == STUDY
        assert not study.dropped


async def test_chunks_of_a_publication_that_broke_off_are_forgotten(tmp_path: Path) -> None:
    def other(number: int) -> tuple[int, ChunkId, bytes]:
        return number, *chunk(number + 1000)[1:]

    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        await fill(study, range(6))
        await study.flush()
        await fill(study, range(6, 9))
        await study.cut_back(4)
        assert list(study.have) == [0, 1, 2, 3]
        assert store.used == 4000
        for number in range(4, 8):
            await study.put(*other(number))
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert list(study.have) == list(range(8))
        assert study.load_many(range(2, 6)) == [
            *(chunk(n)[2] for n in (2, 3)),
            *(other(n)[2] for n in (4, 5)),
        ]
        assert await study.verify() == []
        assert store.used == 8000


async def test_what_rots_and_comes_again_does_not_make_the_file_longer(tmp_path: Path) -> None:
    path = tmp_path / "chunks" / f"{STUDY}.chunks"
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        await fill(study, range(10))
        await study.flush()
        path.write_bytes(bytes(10_000))
        assert await study.verify() == list(range(10))
        await fill(study, range(12))
        await study.flush()
        assert path.stat().st_size == 12_000
        assert await study.verify() == []
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert list(study.have) == list(range(12))
        assert await study.verify() == []
