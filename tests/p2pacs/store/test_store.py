import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
import trio

from p2pacs.errors import CorruptStoreError, DiskFullError, NotFoundError, StateError
from p2pacs.store import ChunkStore, StudyInfo, open_store
from p2pacs.store.extents import Extent
from p2pacs.store.files import StudyFiles
from p2pacs.store.notes import pack
from p2pacs.store.writer import TUNING, StoreWriterTuning
from tests.p2pacs.store.samples import OTHER, STUDY, chunk, fill


async def test_survives_closing(tmp_path: Path) -> None:
    async with open_store(tmp_path / "store") as store:
        for study in (STUDY, OTHER):
            await fill(await store.study(study), range(100))
        assert store.used == 200_000
    async with open_store(tmp_path / "store") as store:
        assert store.used == 200_000
        for study in (STUDY, OTHER):
            opened = await store.study(study)
            assert list(opened.have) == list(range(100))
            assert await opened.verify() == []


async def test_nothing_in_the_folder_names_a_patient(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await fill(await store.study(STUDY), range(3))
        await store.writer.flush()
        names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert names <= {
        "lock",
        "index.sqlite",
        "index.sqlite-wal",
        "chunks",
        f"chunks/{STUDY}.chunks",
        f"chunks/{STUDY}.notes",
    }


async def test_what_it_tells_of_studies(tmp_path: Path) -> None:
    now = 1000.0
    async with open_store(tmp_path, now=lambda: now) as store:
        assert store.studies() == []
        study = await store.study(STUDY)
        await store.study(OTHER)
        assert not store.holds(STUDY)
        assert store.studies() == []
        await fill(study, range(3))
        await study.put_root(b"root", version=7)
        study.touch()
        study.pin()
        expected = StudyInfo(STUDY, 7, 3, 3000, 1000.0, True)
        assert store.studies() == [expected]
    async with open_store(tmp_path) as store:
        assert store.studies() == [expected]
        assert store.info(STUDY) == expected
        study = await store.study(STUDY)
        await study.put_root(b"root", version=7)
        assert store.info(STUDY) == expected, "the same again is no use of it"
        await study.put_root(b"newer", version=8)
        assert (store.info(STUDY) or expected).last_used > expected.last_used
        assert store.info(OTHER) is None
        assert store.holds(STUDY)
        (await store.study(STUDY)).pin(pinned=False)
    async with open_store(tmp_path) as store:
        assert not store.studies()[0].pinned


async def test_one_object_a_study_while_it_is_used(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert await store.study(STUDY) is study
        await study.put(*chunk(1))
        del study
        gc.collect()
        study = await store.study(STUDY)  # what is unwritten keeps it
        assert await study.read(1) == chunk(1)[2]
        await study.flush()
        del study
        gc.collect()
        assert await (await store.study(STUDY)).read(1) == chunk(1)[2]


async def test_drop(tmp_path: Path) -> None:
    path = tmp_path / "chunks" / f"{STUDY}.chunks"
    async with open_store(tmp_path) as store:
        study, other = await store.study(STUDY), await store.study(OTHER)
        for each in (study, other):
            await fill(each, range(10))
            await each.flush()
        await fill(study, range(10, 20))
        await store.drop(STUDY)
        assert not path.exists()
        assert store.used == 10_000
        assert [info.study for info in store.studies()] == [OTHER]
        with pytest.raises(StateError, match="dropped"):
            await study.put(*chunk(30))
        with pytest.raises(StateError):
            study.pin()
        study.touch()
        await study.flush()
        await store.drop(STUDY)
        again = await store.study(STUDY)
        assert list(again.have) == []
        await again.put(*chunk(1))
        await again.flush()
        assert await again.verify() == []
        assert await other.verify() == []
    async with open_store(tmp_path) as store:
        assert list((await store.study(STUDY)).have) == [1]


async def test_capacity(tmp_path: Path) -> None:
    async with open_store(tmp_path, capacity=5500) as store:
        study = await store.study(STUDY)
        await fill(study, range(5))
        with pytest.raises(DiskFullError, match="capacity"):
            await study.put(*chunk(5))
        await study.put(*chunk(4))
        assert list(study.have) == list(range(5))
        await store.drop(STUDY)
        await fill(await store.study(OTHER), range(5))


async def test_one_owner(tmp_path: Path) -> None:
    async with open_store(tmp_path):
        with pytest.raises(StateError, match="another process"):
            async with open_store(tmp_path):
                pass
    async with open_store(tmp_path):
        pass


async def test_an_error_inside_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        async with open_store(tmp_path):
            raise KeyError
    with trio.CancelScope() as scope:
        async with open_store(tmp_path) as store:
            await fill(await store.study(STUDY), range(3))
            scope.cancel()
            await trio.sleep_forever()
    async with open_store(tmp_path) as store:
        assert len((await store.study(STUDY)).have) == 3


async def test_files_that_the_index_does_not_know_go(tmp_path: Path) -> None:
    async with open_store(tmp_path):
        pass
    orphan = tmp_path / "chunks" / f"{OTHER}.chunks"
    orphan.write_bytes(b"after a crash in drop")
    async with open_store(tmp_path):
        assert not orphan.exists()


async def test_bytes_that_were_never_confirmed_go(tmp_path: Path) -> None:
    path = tmp_path / "chunks" / f"{STUDY}.chunks"
    async with open_store(tmp_path) as store:
        await fill(await store.study(STUDY), range(3))
    with path.open("ab") as file:
        file.write(b"half a chunk")
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert path.stat().st_size == 3000
        assert await study.verify() == []


async def test_bytes_that_the_file_system_lost(tmp_path: Path) -> None:
    path = tmp_path / "chunks" / f"{STUDY}.chunks"
    async with open_store(tmp_path) as store:
        await fill(await store.study(STUDY), range(5))
    os.truncate(path, 2500)
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert list(study.have) == [0, 1]
        assert store.used == 2000
        await fill(study, range(5))
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert list(study.have) == list(range(5))
        assert await study.verify() == []
        assert store.used == 5000


async def test_a_damaged_index(tmp_path: Path) -> None:
    (tmp_path / "index.sqlite").write_bytes(b"junk" * 1000)
    with pytest.raises(CorruptStoreError):
        async with open_store(tmp_path):
            pass
    (tmp_path / "index.sqlite").unlink()
    async with open_store(tmp_path):
        pass


WRITER: Final = """
import sys, trio
from pathlib import Path
from p2pacs.store import open_store
from tests.p2pacs.store.samples import STUDY, chunk

async def main(folder, first):
    async with open_store(Path(folder)) as store:
        study = await store.study(STUDY)
        for number in range(first, first + 100_000):
            await study.put(*chunk(number, 20_000))
            if number % 100 == 99:
                await study.flush()
                print(number, flush=True)

trio.run(main, sys.argv[1], int(sys.argv[2]))
"""


def write_in_a_process(folder: Path, number: int, program: str = WRITER) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, str(folder), str(number)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


async def test_killed_while_writing(tmp_path: Path) -> None:
    """Everything confirmed is there, and everything that is there verifies; time after time."""
    first = 0
    for lines in (1, 3, 2):
        process = write_in_a_process(tmp_path, first)
        assert process.stdout is not None
        confirmed = [process.stdout.readline() for _ in range(lines)][-1]
        process.send_signal(signal.SIGKILL)
        process.communicate()
        async with open_store(tmp_path) as store:
            study = await store.study(STUDY)
            assert len(study.have) > int(confirmed)
            assert await study.verify() == []
            first = max(study.have) + 1
            assert list(study.have) == list(range(first))


UNCONFIRMED: Final = """
import sys, trio
from pathlib import Path
from p2pacs.store import open_store
from p2pacs.store.writer import TUNING, StoreWriterTuning
from tests.p2pacs.store.samples import STUDY, chunk

async def main(folder, chunks):
    never = StoreWriterTuning(commit_bytes=10**9, commit_seconds=10**9)
    async with open_store(Path(folder), tuning=never) as store:
        study = await store.study(STUDY)
        await study.put(*chunk(0, 20_000))
        await study.flush()
        for number in range(1, chunks):
            await study.put(*chunk(number, 20_000))
        while study._journal.unwritten_bytes >= TUNING.write_bytes:
            await trio.sleep(0.001)
        print(chunks, flush=True)
        await trio.sleep_forever()

trio.run(main, sys.argv[1], int(sys.argv[2]))
"""


async def test_killed_before_anything_was_confirmed(tmp_path: Path) -> None:
    """What is lost is what was in memory, however fast it came."""
    chunks = 200
    process = write_in_a_process(tmp_path, chunks, UNCONFIRMED)
    assert process.stdout is not None
    assert process.stdout.readline(), process.communicate()[1]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for _ in range(2):  # and it stays
        async with open_store(tmp_path) as store:
            study = await store.study(STUDY)
            assert chunks * 20_000 - study_bytes(store) < TUNING.write_bytes
            assert store.used == study_bytes(store)
            assert await study.verify() == []
            assert list(study.have) == list(range(len(study.have)))
    assert not list(tmp_path.rglob("*.notes"))


def study_bytes(store: ChunkStore) -> int:
    (info,) = store.studies()
    return info.bytes


async def test_notes_that_lie_are_not_believed(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await fill(await store.study(STUDY), range(3))
    files = StudyFiles(tmp_path / "chunks")
    (right, other) = (chunk(7), chunk(8))
    files.write(STUDY, 3000, [right[2], other[2][:500]])
    notes = [
        (1, Extent(3000, 1000, other[1])),  # of another chunk
        (7, Extent(3000, 1000, right[1])),
        (8, Extent(4000, 1000, other[1])),  # not written whole
        (9, Extent(2**60, 1000, right[1])),
        (2, Extent(0, 1000, chunk(0)[1])),  # confirmed long ago
    ]
    files.note(STUDY, 0, pack(notes) + b"torn")
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert list(study.have) == [0, 1, 2, 7]
        await fill(study, range(8, 10))
        assert await study.verify() == []
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert list(study.have) == [0, 1, 2, 7, 8, 9]
        assert await study.verify() == []
        assert files.path(STUDY).stat().st_size == store.used


async def test_notes_of_a_file_that_is_gone(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await fill(await store.study(STUDY), range(3))
    files = StudyFiles(tmp_path / "chunks")
    files.note(STUDY, 0, pack([(7, Extent(3000, 1000, chunk(7)[1]))]))
    files.path(STUDY).unlink()
    async with open_store(tmp_path) as store:
        assert not (await store.study(STUDY)).have
    assert not list(tmp_path.rglob("*.notes"))


LIMITED: Final = """
import resource, sys, trio
from pathlib import Path
from p2pacs.errors import DiskFullError
from p2pacs.store import open_store
from tests.p2pacs.store.samples import STUDY, chunk

async def main(folder):
    async with open_store(Path(folder)) as store:
        study = await store.study(STUDY)
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        try:
            for number in range(1000):
                await study.put(*chunk(number, 20_000))
                await study.flush()
        except DiskFullError:
            held = list(study.have)
            assert 30 < len(held) < 60, len(held)
            assert await study.verify() == []
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        for number in range(100):
            await study.put(*chunk(number, 20_000))
        await study.flush()
        print(len(study.have))

trio.run(main, sys.argv[1])
"""


async def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    done = await trio.run_process(
        [sys.executable, "-c", LIMITED, str(tmp_path)],
        capture_stdout=True,
        capture_stderr=True,
        cwd=Path(__file__).parents[3],
        check=False,
    )
    assert done.stdout.splitlines()[-1:] == [b"100"], done.stderr.decode()
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert list(study.have) == list(range(100))
        assert await study.verify() == []


def _folder(path: Path) -> None:
    path.unlink()
    (path / "of").mkdir(parents=True)


ROT: Final[dict[str, Callable[[Path], None]]] = {
    "removed": Path.unlink,
    "a folder instead": _folder,
}


@pytest.mark.parametrize("how", ROT)
async def test_a_file_that_is_gone_is_refilled(tmp_path: Path, how: str) -> None:
    """Found when it is opened: nothing of it is held, and it can be written again."""
    path = tmp_path / "chunks" / f"{STUDY}.chunks"
    async with open_store(tmp_path) as store:
        await fill(await store.study(STUDY), range(5))
    ROT[how](path)
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert not study.have
        assert store.used == 0
        await fill(study, range(5))
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert await study.verify() == []
        assert list(study.have) == list(range(5))
        await store.drop(STUDY)
    assert not path.exists()


@pytest.mark.parametrize("how", ROT)
async def test_a_file_that_goes_while_it_is_used(tmp_path: Path, how: str) -> None:
    """Found when it is read, whole or in part; what comes again is kept."""
    path = tmp_path / "chunks" / f"{STUDY}.chunks"
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        await fill(study, range(5))
        await study.flush()
        ROT[how](path)
        with pytest.raises(CorruptStoreError, match="fetched again"):
            await study.read(0)
        with pytest.raises(CorruptStoreError, match="fetched again"):
            await study.read_many([1, 2], verify=True)
        assert list(study.have) == [0, 3, 4]
        assert await study.verify() == [0, 3, 4]
        await fill(study, range(5))
        await study.flush()
        assert await study.verify() == []
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        assert await study.verify() == []
        assert list(study.have) == list(range(5))


async def test_a_folder_in_the_place_of_a_file_does_not_hinder(tmp_path: Path) -> None:
    """Neither at the start, nor when its study is dropped; what is in it is kept."""
    async with open_store(tmp_path) as store:
        await fill(await store.study(STUDY), range(5))
    for name in (f"{STUDY}.chunks", f"{STUDY}.notes", f"{OTHER}.chunks"):
        path = tmp_path / "chunks" / name
        path.unlink(missing_ok=True)
        path.mkdir()
        (path / "mine").write_bytes(b"kept")
    async with open_store(tmp_path) as store:
        await store.drop(STUDY)
        study = await store.study(STUDY)
        await fill(study, range(3))
        await study.flush()
        assert await study.verify() == []
    assert len(list((tmp_path / "chunks").glob("*/mine"))) == 3


async def test_a_study_that_is_dropped_while_it_is_read_has_not_rotted(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        study = await store.study(STUDY)
        await fill(study, range(3))
        await study.flush()
        await store.drop(STUDY)
        with pytest.raises(NotFoundError):
            await study.read_many([0, 1, 2], verify=True)


async def test_what_nobody_uses_and_is_not_written_yet_is_not_read_anew(tmp_path: Path) -> None:
    async with open_store(tmp_path, tuning=StoreWriterTuning(commit_seconds=10**9)) as store:
        study = await store.study(STUDY)
        await fill(study, range(3))
        del study
        study = await store.study(STUDY)
        assert list(study.have) == [0, 1, 2]
        await study.flush()
        assert await study.verify() == []
        assert store.used == 3000
