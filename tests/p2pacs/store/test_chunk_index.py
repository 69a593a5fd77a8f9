import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from p2pacs.errors import CorruptStoreError, DiskFullError
from p2pacs.ids import ChunkId
from p2pacs.store import chunk_index as module
from p2pacs.store.chunk_index import Changes, ChunkIndex, Contents, Record
from p2pacs.store.extents import Extent
from tests.p2pacs.store.samples import OTHER, STUDY, chunk


def extent(number: int) -> Extent:
    return Extent(number * 1000, 1000, chunk(number)[1])


def changes(record: Record, *numbers: int) -> Changes:
    return Changes(record, {number: extent(number) for number in numbers})


def test_survives_closing(tmp_path: Path) -> None:
    index = ChunkIndex(tmp_path / "index.sqlite")
    one = Record(1, STUDY, version=3, root=b"root", last_used=5.5, pinned=True)
    segments = {ChunkId(bytes(32)): b"segment"}
    index.apply([Changes(one, {4: extent(4), 9: extent(9)}, segments=segments)])
    index.apply([changes(Record(2, OTHER))])
    index.close()
    index = ChunkIndex(tmp_path / "index.sqlite")
    first, second = sorted(index.records(), key=lambda record: record.key)
    assert (first.key, first.study, first.version, first.root) == (1, STUDY, 3, b"root")
    assert (first.last_used, first.pinned, first.chunks, first.bytes) == (5.5, True, 2, 2000)
    assert (second.study, second.root, second.chunks, second.bytes) == (OTHER, None, 0, 0)
    assert index.contents(1) == Contents([(4, extent(4)), (9, extent(9))], segments)
    assert index.contents(2) == Contents([], {})
    index.close()


def test_later_changes_replace_and_remove(tmp_path: Path) -> None:
    index = ChunkIndex(tmp_path / "index.sqlite")
    record = Record(1, STUDY)
    gone, kept = ChunkId(b"g" * 32), ChunkId(b"k" * 32)
    index.apply([Changes(record, {1: extent(1), 2: extent(2)}, segments={gone: b"", kept: b""})])
    index.apply([Changes(record, {2: extent(7)}, lost={1}, unlisted={gone})])
    assert index.contents(1) == Contents([(2, extent(7))], {kept: b""})
    index.remove(1)
    assert index.records() == []
    assert index.contents(1) == Contents([], {})
    index.close()


def test_all_or_nothing(tmp_path: Path) -> None:
    index = ChunkIndex(tmp_path / "index.sqlite")
    broken = Changes(Record(2, OTHER), {1: Extent(0, 2**80, ChunkId(bytes(32)))})
    with pytest.raises(OverflowError):
        index.apply([changes(Record(1, STUDY), 1), broken])
    assert index.records() == []
    index.apply([changes(Record(1, STUDY), 1)])
    assert index.records()[0].chunks == 1
    index.close()


def test_not_a_database(tmp_path: Path) -> None:
    (tmp_path / "index.sqlite").write_bytes(b"junk" * 1000)
    with pytest.raises(CorruptStoreError, match="damaged"):
        ChunkIndex(tmp_path / "index.sqlite")


def test_a_later_version(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "index.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(CorruptStoreError, match="update"):
        ChunkIndex(tmp_path / "index.sqlite")


def test_a_full_disk(tmp_path: Path) -> None:
    index = ChunkIndex(tmp_path / "index.sqlite")
    with index._file.writing() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    record = Record(1, STUDY)
    with pytest.raises(DiskFullError):
        index.apply([changes(record, *range(1000))])
    assert index.records() == []
    with index._file.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    index.apply([changes(record, *range(1000))])
    assert index.records()[0].chunks == 1000
    index.close()


def test_a_commit_waits_for_the_disk(tmp_path: Path) -> None:
    """As SQLite documents it: what survives a power cut is set by these; nothing here cuts one."""
    index = ChunkIndex(tmp_path / "index.sqlite")
    with index._file.reading() as connection:
        pragmas = ("journal_mode", "synchronous", "locking_mode")
        values = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
    assert values == ["wal", 2, "exclusive"]
    index.close()


def test_a_store_of_version_1_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    index = ChunkIndex(path)
    index.apply([changes(Record(1, STUDY, root=b"root", last_used=5.5), 1, 2)])
    index.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE studies DROP COLUMN promised_until")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    index = ChunkIndex(path)
    (record,) = index.records()
    assert (record.root, record.last_used, record.chunks) == (b"root", 5.5, 2)
    index.apply([changes(Record(1, STUDY), 3)])
    index.close()
    index = ChunkIndex(path)
    (record,) = index.records()
    assert record.chunks == 3
    index.close()


COMMITS: Final = """
import sys
from pathlib import Path
from p2pacs.store.chunk_index import Changes, ChunkIndex, Record
from tests.p2pacs.store.samples import OTHER, STUDY
from tests.p2pacs.store.test_chunk_index import extent

index = ChunkIndex(Path(sys.argv[1]))
one, other = Record(1, STUDY), Record(2, OTHER)
for number in range(10**9):
    index.apply([Changes(one, {number: extent(number)}), Changes(other, {number: extent(number)})])
    print(number, flush=True)
"""


@pytest.mark.parametrize("lines", [1, 100, 37])
def test_a_process_killed_in_the_middle_of_commits(tmp_path: Path, lines: int) -> None:
    """Every commit that returned is there, and each is there whole or not at all."""
    path = tmp_path / "index.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", COMMITS, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as process:
        assert process.stdout is not None
        for _ in range(lines):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        told = [*range(lines), *map(int, process.stdout.read().split())]
    index = ChunkIndex(path)
    one, other = (index.contents(key).chunks for key in (1, 2))
    assert one == other
    assert one == [(number, extent(number)) for number in range(len(one))]
    assert len(one) in {len(told), len(told) + 1}, "at most the one under way is more"
    index.close()


def test_the_schema_is_versioned() -> None:
    """Who changes a table raises the version and migrates: docs/formats.md describes it."""
    assert module._SCHEMA_VERSION == 2
    columns = {table.name: list(table.columns.keys()) for table in module._metadata.sorted_tables}
    assert columns == {
        "studies": ["key", "study", "version", "root", "last_used", "pinned", "promised_until"],
        "chunks": ["study", "number", "offset", "size", "id"],
        "segments": ["study", "id", "data"],
    }
