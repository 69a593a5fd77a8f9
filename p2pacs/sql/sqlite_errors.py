"""What goes wrong with an SQLite file: told apart by result codes (sqlite.org/rescode.html), never
by texts."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DBAPIError

from p2pacs.errors import CorruptStoreError, DatabaseLockedError, DiskFullError, LocalError
from p2pacs.limits import KIB

_FULL: Final = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}
)
"""No space (ENOSPC); and what a quota or a limit of file size comes to."""

_PERHAPS_FULL: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR_SHMOPEN})
"""On a full disk a write-ahead log cannot be made."""

_LITTLE: Final = 64 * KIB
"""With less room than this on the disk, that is why: shared memory alone takes 32 KiB."""

_LOCKED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_UNUSABLE: Final = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
    }
)


def translated(error: DBAPIError, path: Path, remedy: str) -> LocalError:
    """What an error of the driver is.

    Args:
        error: Of the driver.
        path: Of the file.
        remedy: What an administrator can do when it is damaged.
    """
    if _is_full(error, path.parent):
        return DiskFullError(f"no room to write {path.name}: free space on its disk")
    if is_locked(error):
        return DatabaseLockedError(
            f"another program has locked {path.name} (a backup?): end it, or try again later"
        )
    if _code(error) & 0xFF in _UNUSABLE:
        return LocalError(f"cannot use {path.name}: {error.orig}")
    return CorruptStoreError(f"{path.name} refuses: {error.orig}; if it is damaged, {remedy}")


def _code(error: DBAPIError) -> int:
    """SQLite's extended result code; -1 if the driver has none. The lowest byte is the primary."""
    code: int = getattr(error.orig, "sqlite_errorcode", -1)
    return code


def is_locked(error: DBAPIError) -> bool:
    """Whether another program holds the file."""
    return _code(error) & 0xFF in _LOCKED


def _is_full(error: DBAPIError, folder: Path) -> bool:
    code = _code(error)
    if code in _FULL:
        return True
    return code in _PERHAPS_FULL and not _has_room(folder)


def _has_room(folder: Path) -> bool:
    """Whether a disk takes another file."""
    if shutil.disk_usage(folder).free < _LITTLE:
        return False
    if sys.platform == "win32":
        return True
    found = os.statvfs(folder)
    return found.f_files == 0 or found.f_favail > 0  # Btrfs counts no inodes
