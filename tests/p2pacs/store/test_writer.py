import errno
import os
import threading
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import pytest
import trio
import trio.testing
from attrs import evolve

from p2pacs.errors import CorruptStoreError, DiskFullError, LocalError
from p2pacs.ids import StudyId
from p2pacs.store import ChunkStore, StudyStore, open_store
from p2pacs.store import files as files_module
from p2pacs.store.chunk_index import ChunkIndex
from p2pacs.store.files import StudyFiles
from p2pacs.store.writer import TUNING
from tests.p2pacs.store.samples import OTHER, STUDY, chunk, fill

Write = Callable[[int, int, Sequence[bytes]], None]


class Disk:
    """Stands before the one function that writes chunks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: OSError | None = None
        self.go = threading.Event()
        self.go.set()
        self.writes = 0
        self._write: Write = files_module._write_all
        monkeypatch.setattr(files_module, "_write_all", self.write)

    def write(self, handle: int, offset: int, buffers: Sequence[bytes]) -> None:
        self.go.wait(10)
        self.writes += 1
        if self.error:
            self._write(handle, offset, [buffers[0][:100]])  # as a real disk: a part fits
            raise self.error
        self._write(handle, offset, buffers)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


FULL = OSError(errno.ENOSPC, "No space left on device")


async def test_a_full_disk_harms_nothing_and_passes(tmp_path: Path, disk: Disk) -> None:
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        await fill(study, range(10))
        await study.flush()
        disk.error = FULL
        await fill(study, range(10, 15))
        with pytest.raises(DiskFullError, match="free some space"):
            await study.flush()
        with pytest.raises(DiskFullError):
            await study.put(*chunk(15))
        assert list(study.have) == list(range(15))
        assert await study.read_many(range(15)) == [chunk(n)[2] for n in range(15)]
        assert await study.verify() == []
        disk.error = None
        await fill(study, range(15, 20))
        await study.flush()
        assert await study.verify() == []
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert list(study.have) == list(range(20))
        assert await study.verify() == []


async def test_a_disk_that_stays_full_keeps_what_was_confirmed(tmp_path: Path, disk: Disk) -> None:
    async def use() -> None:
        async with open_store(tmp_path) as store:
            study = await store.study(STUDY)
            await fill(study, range(10))
            await study.flush()
            disk.error = FULL
            await fill(study, range(10, 15))

    with pytest.raises(DiskFullError):
        await use()
    disk.error = None
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert list(study.have) == list(range(10))
        assert await study.verify() == []
        assert (tmp_path / "chunks" / f"{STUDY}.chunks").stat().st_size == 10_000


async def test_other_failures_of_the_disk(tmp_path: Path, disk: Disk) -> None:
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        disk.error = OSError(errno.EIO, "Input/output error")
        await study.put(*chunk(1))
        with pytest.raises(LocalError, match="the store cannot write"):
            await study.flush()
        disk.error = None
        await study.flush()


async def test_an_index_that_cannot_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apply = ChunkIndex.apply

    def full(*_: object) -> None:
        raise DiskFullError("full")

    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        await fill(study, range(5))
        await study.put_segment(chunk(1)[1], b"segment")
        monkeypatch.setattr(ChunkIndex, "apply", full)
        with pytest.raises(DiskFullError):
            await study.flush()
        assert await study.verify() == []
        await study.put_segment(chunk(2)[1], b"later")
        with pytest.raises(DiskFullError):
            await study.put(*chunk(5))
        monkeypatch.setattr(ChunkIndex, "apply", apply)
        await study.put(*chunk(6))
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert list(study.have) == [0, 1, 2, 3, 4, 6]
        assert await study.verify() == []
        assert await study.segment(chunk(1)[1]) == b"segment"
        assert await study.segment(chunk(2)[1]) == b"later"


async def test_put_waits_while_too_much_is_unwritten(tmp_path: Path, disk: Disk) -> None:
    disk.go.clear()
    size = 64 * 1024
    fits = TUNING.unwritten_bytes // size
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        await fill(study, range(fits), size)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(study.put, *chunk(fits, size))
            await trio.testing.wait_all_tasks_blocked()
            assert fits not in study.have
            disk.go.set()
        assert fits in study.have


async def test_who_waits_for_room_hears_of_a_full_disk(tmp_path: Path, disk: Disk) -> None:
    disk.go.clear()
    size = 64 * 1024
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        await fill(study, range(TUNING.unwritten_bytes // size), size)

        async def one_more() -> None:
            with pytest.raises(DiskFullError):
                await study.put(*chunk(9999, size))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one_more)
            await trio.testing.wait_all_tasks_blocked()
            disk.error = FULL
            disk.go.set()
        disk.error = None


async def test_confirms_by_itself_in_batches(
    tmp_path: Path,
    disk: Disk,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commits = 0
    apply = ChunkIndex.apply

    def count(self: ChunkIndex, changes: list[object]) -> None:
        nonlocal commits
        commits += 1
        apply(self, changes)  # type: ignore[arg-type]

    monkeypatch.setattr(ChunkIndex, "apply", count)
    async with open_store(tmp_path) as store:
        one, other = await store.study(STUDY), await store.study(OTHER)
        await fill(one, range(50))
        await fill(other, range(50))
        assert disk.writes == 0
        while commits == 0:
            await trio.sleep(TUNING.commit_seconds)
        assert (disk.writes, commits) == (4, 1), "chunks and notes of each, together"


async def test_much_is_written_without_waiting(tmp_path: Path, disk: Disk) -> None:
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        await fill(study, range(200), 64 * 1024)
        assert disk.writes > 0
        assert study._journal.unwritten != []
        await study.flush()
        assert study._journal.unwritten == []


async def _filled(store: ChunkStore) -> StudyStore:
    study = await store.study(STUDY)
    await fill(study, range(10))
    await study.put_root(b"root", version=7)
    study.pin()
    return study


async def _is_whole(folder: Path) -> bool:
    async with open_store(folder) as store:
        study, info = await store.study(STUDY), store.info(STUDY)
        assert info is not None
        held = list(study.have), study.root, info.version, info.pinned
        return held == (list(range(10)), b"root", 7, True)


class CancelAt(trio.abc.Instrument):
    """Cancels a scope right before a task goes on for the nth time, whatever it waited for."""

    def __init__(self, scope: trio.CancelScope, steps: int) -> None:
        self._task, self._scope, self._left = trio.lowlevel.current_task(), scope, steps

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task:
            self._left -= 1
            if self._left == 0:
                self._scope.cancel()


async def _flush_cancelled_at(study: StudyStore, step: int) -> bool:
    """Whether it was cancelled before it was done."""
    with trio.CancelScope() as scope:
        instrument = CancelAt(scope, step)
        trio.lowlevel.add_instrument(instrument)
        try:
            await study.flush()
        finally:
            trio.lowlevel.remove_instrument(instrument)
    return scope.cancelled_caught


@pytest.mark.parametrize("written", [False, True])
async def test_a_flush_that_is_cancelled_at_any_step_loses_nothing(
    tmp_path: Path, *, written: bool
) -> None:
    """What a later flush reports as safe is there after a restart."""
    for step in count(1):
        folder = tmp_path / str(step)
        async with open_store(folder) as store:
            study = await _filled(store)
            if written:
                await store.writer.write()
            cancelled = await _flush_cancelled_at(study, step)
            await (await store.study(OTHER)).put(*chunk(0))
            await study.flush()
        assert await _is_whole(folder), f"cancelled at step {step}"
        if not cancelled:
            break
    assert step > 4


@pytest.mark.parametrize("written", [False, True])
async def test_a_flush_that_is_given_up_while_all_threads_are_busy_loses_nothing(
    tmp_path: Path, *, written: bool
) -> None:
    threads = trio.to_thread.current_default_thread_limiter()
    async with open_store(tmp_path) as store:
        study = await _filled(store)
        if written:
            await store.writer.write()
        busy = [object() for _ in range(int(threads.available_tokens))]
        for one in busy:
            threads.acquire_on_behalf_of_nowait(one)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(study.flush)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        for one in busy:
            threads.release_on_behalf_of(one)
        await study.flush()
    assert await _is_whole(tmp_path)


async def test_an_error_that_nobody_foresaw_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unforeseen(*_: object) -> None:
        raise MemoryError

    async with open_store(tmp_path, tuning=evolve(TUNING, commit_seconds=9e9)) as store:
        study = await _filled(store)
        with monkeypatch.context() as patch:
            patch.setattr(ChunkIndex, "apply", unforeseen)
            with pytest.raises(MemoryError):
                await study.flush()
        await study.flush()
    assert await _is_whole(tmp_path)


def _gone(path: Path) -> None:
    path.unlink()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.rename(path.with_suffix(".away"))
    path.symlink_to(path.with_suffix(".away"))


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("when", ["before it is written on", "before it is confirmed"])
@pytest.mark.parametrize("replace", [_gone, _pipe, _link, _folder, _empty])
async def test_a_file_that_is_replaced_is_its_own_study_s_trouble_alone(
    tmp_path: Path, replace: Callable[[Path], None], when: str
) -> None:
    lost: list[StudyId] = []
    async with open_store(tmp_path) as store:
        store.writer.lost = lost.append
        study, other = await store.study(STUDY), await store.study(OTHER)
        await fill(study, range(5))
        await study.flush()
        await fill(study, range(5, 8))
        await store.writer.write()
        replace(tmp_path / "chunks" / f"{STUDY}.chunks")
        if when == "before it is written on":
            await fill(study, range(8, 10))
        await fill(other, range(5))
        await other.flush()
        assert lost == [STUDY]
        assert list(study.have) == [n for n in study.have if n >= 8], "the rest is gone"
        with pytest.raises(CorruptStoreError, match="8 chunks are lost"):
            await study.flush()
        await fill(study, range(8))
        await study.flush()
        await fill(other, range(5, 10))
        await other.flush()
        assert await study.verify() == await other.verify() == []
        held = list(study.have)
    async with open_store(tmp_path) as store:
        study, other = await store.study(STUDY), await store.study(OTHER)
        assert list(study.have) == held
        assert list(other.have) == list(range(10))
        assert await study.verify() == await other.verify() == []
        assert store.used == 1000 * (len(held) + 10)


async def test_a_file_that_is_replaced_again_and_again_stops_no_other_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = StudyFiles.write

    def not_that_one(self: StudyFiles, study: StudyId, offset: int, data: list[bytes]) -> None:
        if study == STUDY:
            raise CorruptStoreError("replaced")
        write(self, study, offset, data)

    monkeypatch.setattr(StudyFiles, "write", not_that_one)
    async with open_store(tmp_path) as store:
        study, other = await store.study(STUDY), await store.study(OTHER)
        await fill(study, range(5))
        await fill(other, range(5))
        await other.flush()
        with pytest.raises(CorruptStoreError, match="5 chunks are lost"):
            await study.flush()
        assert (list(study.have), list(other.have)) == ([], list(range(5)))
        assert store.used == 5000
