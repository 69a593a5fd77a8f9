"""SQLite files: one way to open them, one reading of what goes wrong, locks waited for."""

import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
import trio.testing
from sqlalchemy import Connection, text
from structlog.testing import capture_logs

from p2pacs.concurrency.until_possible import PAUSE_SECONDS
from p2pacs.errors import CorruptStoreError, DatabaseLockedError, DiskFullError, LocalError
from p2pacs.sql.sqlite import SqliteFile, SqliteTuning
from tests.small_disk import small_disk
from tests.waiting import eventually

SHORT = SqliteTuning(try_seconds=0.01, thread_seconds=0.05, task_seconds=0.05)
PATIENT = SqliteTuning(try_seconds=0.01, thread_seconds=60, task_seconds=60)


@contextmanager
def opened(
    path: Path, tuning: SqliteTuning = SHORT, *, exclusive: bool = False
) -> Iterator[SqliteFile]:
    file = SqliteFile(path, "remove it", exclusive=exclusive, tuning=tuning)
    try:
        file.transact(lambda c: c.execute(text("CREATE TABLE IF NOT EXISTS t (x UNIQUE)")))
        yield file
    finally:
        file.close()


def add(connection: Connection, value: object = 1) -> None:
    connection.execute(text("INSERT INTO t VALUES (:x)"), {"x": value})


def add_and_fail(connection: Connection) -> None:
    add(connection, 2)
    raise KeyError


def count(connection: Connection) -> int:
    return int(connection.execute(text("SELECT count(*) FROM t")).scalar_one())


@contextmanager
def lock(path: Path) -> Iterator[sqlite3.Connection]:
    """Another program's exclusive lock."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield other
    finally:
        other.close()


def test_a_transaction_is_whole_or_not_at_all(tmp_path: Path) -> None:
    with opened(tmp_path / "x.db") as file:
        file.transact(add)
        with pytest.raises(KeyError):
            file.transact(add_and_fail)
        with file.reading() as connection:
            assert count(connection) == 1


@pytest.mark.parametrize("exclusive", [False, True])
def test_what_is_read_is_one_state(tmp_path: Path, exclusive: bool) -> None:
    with opened(tmp_path / "x.db", exclusive=exclusive) as file, file.reading() as connection:
        assert count(connection) == 0
        if not exclusive:
            file.transact(add)
            assert count(connection) == 0
    with opened(tmp_path / "x.db") as file, file.reading() as connection:
        assert count(connection) == (0 if exclusive else 1)


def test_files_are_for_their_owner_whatever_the_umask_and_whoever_made_them(
    tmp_path: Path,
) -> None:
    before = os.umask(0)
    try:
        path = tmp_path / "x.db"
        path.touch(mode=0o644)
        with opened(path) as file:
            file.transact(add)
            found = list(tmp_path.iterdir())
            assert len(found) == 3, "with its log and its shared memory"
            assert {stat.S_IMODE(one.stat().st_mode) for one in found} == {0o600}
    finally:
        os.umask(before)


def test_a_lock_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with opened(path, PATIENT) as file, lock(path) as other:
        thread = threading.Thread(target=file.transact, args=(add,))
        thread.start()
        with file.reading() as connection:
            assert count(connection) == 0, "what only reads does not wait"
        other.execute("ROLLBACK")
        thread.join(30)
        with file.reading() as connection:
            assert count(connection) == 1


def test_a_lock_that_lasts_has_its_own_error(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with opened(path) as file, capture_logs() as said:
        with lock(path):
            for _ in range(2):
                with pytest.raises(DatabaseLockedError, match=r"another program has locked x\.db"):
                    file.transact(add)
        file.transact(add)
    assert [one["event"] for one in said] == [
        "another program has locked a database: waiting",  # once, not each time
        "a locked database is free again",
    ]
    assert DatabaseLockedError.dicom_status == 0xA700, "nothing is wrong with the question"


async def test_a_task_waits_for_a_lock_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with opened(path, PATIENT) as file, lock(path) as other, capture_logs() as said:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(file.run, add)
            await eventually(lambda: said)
            other.execute("ROLLBACK")
        assert await file.run(count) == 1


async def test_a_task_that_waits_for_a_lock_can_be_stopped(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with opened(path, PATIENT) as file, lock(path), capture_logs() as said:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(file.run, add)
            await eventually(lambda: said)
            nursery.cancel_scope.cancel()


async def test_a_task_does_not_wait_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with opened(path) as file, lock(path), pytest.raises(DatabaseLockedError):
        await file.run(add)


@pytest.mark.disk
@pytest.mark.parametrize("exclusive", [False, True])
def test_a_disk_that_is_really_full(tmp_path: Path, exclusive: bool) -> None:
    """What is there is served, what needs room is refused, and goes on when there is room."""
    with small_disk(tmp_path / "disk") as disk:
        path = disk.folder / "x.db"
        with opened(path, exclusive=exclusive) as file:
            file.transact(add)
            disk.fill()
            with pytest.raises(DiskFullError, match="free space"):
                file.transact(lambda c: add(c, bytes(500_000)))
            with file.reading() as connection:
                assert count(connection) == 1
            assert file.transact(count) == 1
            disk.free()
            file.transact(lambda c: add(c, bytes(500_000)))
        if not exclusive:  # its shared memory has no room
            disk.fill()
            with pytest.raises(DiskFullError), opened(path):
                pass
            disk.free()
        with opened(path, exclusive=exclusive) as file, file.reading() as connection:
            assert count(connection) == 2


@pytest.mark.disk
def test_a_disk_that_takes_no_more_files(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        path = disk.folder / "x.db"
        with opened(path) as file:
            file.transact(add)
        disk.crowd()
        with pytest.raises(DiskFullError), opened(path):
            pass
        disk.free()
        with opened(path) as file, file.reading() as connection:
            assert count(connection) == 1


def test_errors_are_told_apart_by_their_codes(tmp_path: Path) -> None:
    """A text that says "full" or "locked" means nothing."""
    with opened(tmp_path / "x.db") as file:
        file.transact(lambda c: add(c, "database or disk is full, database is locked"))
        with pytest.raises(CorruptStoreError, match="remove it"):
            file.transact(lambda c: c.execute(text("SELECT * FROM full_and_locked")))
        with pytest.raises(CorruptStoreError):
            file.transact(lambda c: add(c, "database or disk is full, database is locked"))


def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(CorruptStoreError, match=r"x\.db refuses.*remove it"), opened(path):
        pass
    path.unlink()
    path.mkdir()
    with pytest.raises(LocalError, match=r"cannot use x\.db"), opened(path):
        pass


def test_parameters_are_not_in_errors(tmp_path: Path) -> None:
    with opened(tmp_path / "x.db") as file:
        file.transact(lambda c: add(c, "Doe^John"))
        with pytest.raises(CorruptStoreError) as caught:
            file.transact(lambda c: add(c, "Doe^John"))
        assert "Doe" not in str(caught.value) + str(caught.value.__cause__)


async def test_a_task_outlasts_a_lock_that_outlasts_its_patience(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    with opened(tmp_path / "x.db") as file, capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            with lock(tmp_path / "x.db"):
                nursery.start_soon(file.persist, add)
                await trio.sleep(5 * PAUSE_SECONDS)
                with pytest.raises(DatabaseLockedError):  # who has somebody to tell
                    await file.run(add)
        assert await file.run(count) == 1
    told = [one["event"] for one in logs if one["file"] == "x.db"]
    assert told.count("waiting until it can be used") == 1
    assert told.count("it can be used again") == 1


def test_a_copy_is_of_one_state_and_for_its_owner(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.db", tmp_path / "copy.db"
    with opened(path) as file:
        file.transact(add)
        copy.write_bytes(b"an older one")
        (tmp_path / "copy.db.part").write_bytes(b"of a copy that was interrupted")
        file.copy_to(copy)
        file.transact(lambda c: add(c, 2))
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with opened(copy) as copied:
        assert copied.transact(count) == 1
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.disk
def test_a_copy_for_which_there_is_no_room_is_not_there(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, opened(tmp_path / "a.db") as file:
        room = shutil.disk_usage(disk.folder).free
        file.transact(lambda c: add(c, bytes(room)))
        with pytest.raises(DiskFullError):
            file.copy_to(disk.folder / "copy.db")
        assert not list(disk.folder.iterdir())
