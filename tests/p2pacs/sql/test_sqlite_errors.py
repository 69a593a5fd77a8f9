"""Result codes of SQLite, as the errors that they are; texts mean nothing."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from p2pacs.errors import CorruptStoreError, DatabaseLockedError, DiskFullError, LocalError
from p2pacs.sql.sqlite_errors import is_locked, translated


def _failed(code: int | None, text: str = "database or disk is full, or locked") -> DBAPIError:
    error = sqlite3.OperationalError(text)
    if code is not None:
        error.sqlite_errorcode = code
    return DBAPIError(None, None, error)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, DiskFullError),
        (sqlite3.SQLITE_IOERR_WRITE, DiskFullError),
        (sqlite3.SQLITE_BUSY, DatabaseLockedError),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, DatabaseLockedError),  # an extended code
        (sqlite3.SQLITE_LOCKED, DatabaseLockedError),
        (sqlite3.SQLITE_READONLY, LocalError),
        (sqlite3.SQLITE_IOERR_READ, LocalError),
        (sqlite3.SQLITE_CANTOPEN, LocalError),  # here there is room
        (sqlite3.SQLITE_CORRUPT, CorruptStoreError),
        (sqlite3.SQLITE_ERROR, CorruptStoreError),
        (None, CorruptStoreError),  # the driver has none
    ],
)
def test_each_code_has_its_error(tmp_path: Path, code: int | None, kind: type[LocalError]) -> None:
    error = translated(_failed(code), tmp_path / "x.db", "remove it")
    assert type(error) is kind
    assert "x.db" in str(error)
    assert str(tmp_path) not in str(error)
    assert ("remove it" in str(error)) is (kind is CorruptStoreError)


def test_only_a_lock_is_a_lock() -> None:
    assert is_locked(_failed(sqlite3.SQLITE_BUSY_RECOVERY))
    assert not is_locked(_failed(sqlite3.SQLITE_FULL))
    assert not is_locked(_failed(None))
