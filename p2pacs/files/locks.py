"""One process a folder: a lock on a file that the operating system takes back when its owner ends.

On Unix `flock` of the whole file. On Windows, which has none, `msvcrt.locking` of its first byte:
there the lock is one of bytes, so nobody may read that byte meanwhile; nobody needs to.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from p2pacs.concurrency.until_possible import until_possible
from p2pacs.errors import DiskFullError, StateError, local_error

if sys.platform == "win32":
    import msvcrt

    def _take(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


_HELD: Final = frozenset({errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK})
"""What `flock` (the first) and `msvcrt.locking` (the others) say of a lock that another has."""


@contextmanager
def locked(path: Path, taken: str) -> Iterator[None]:
    """Hold the lock of this file, made if it is not there, until the block or the process ends.

    Args:
        path: of the file; it stays, and says nothing.
        taken: what to say when another process has the lock.

    Raises:
        StateError: another process has it, or the file cannot be opened or locked.
        DiskFullError: there is no room for the file.
    """
    handle = _open(path)
    try:
        if not _taken(handle, path):
            raise StateError(taken)
        yield
    finally:
        os.close(handle)


@asynccontextmanager
async def held(path: Path, taken: str) -> AsyncIterator[None]:
    """As `locked`, for a program at its start: it waits until the disk has room for the file.

    Raises:
        StateError: as `locked`.
    """
    with ExitStack() as stack:

        async def take() -> None:
            stack.enter_context(locked(path, taken))

        await until_possible(take, path.name)
        yield


def is_locked(path: Path) -> bool:
    """Whether a process has the lock of this file now; the file is made if it is not there.

    Raises:
        StateError: the file cannot be opened or locked.
        DiskFullError: there is no room for it.
    """
    handle = _open(path)
    try:
        return not _taken(handle, path)
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        problem = local_error(error, f"cannot open {path}")
        if isinstance(problem, DiskFullError):
            raise problem from error
        raise StateError(str(problem)) from error


def _taken(handle: int, path: Path) -> bool:
    """Take the lock; whether it was free."""
    try:
        _take(handle)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise StateError(
            f"cannot lock {path}: {error.strerror}; the folder must lie on a local disk"
        ) from error
    return True
