"""SQLite files: opened in one way, with one reading of what goes wrong.

A file that another program has locked is waited for: first by SQLite itself, then, in `run`,
without holding up the event loop's end.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import structlog
import trio
from attrs import frozen
from sqlalchemy import Connection, StaticPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from p2pacs.concurrency.until_possible import until_possible
from p2pacs.errors import (
    DatabaseLockedError,
    local_error,
)
from p2pacs.sql.sqlite_errors import is_locked, translated

log = structlog.get_logger(__name__)

T = TypeVar("T")


@frozen
class SqliteTuning:
    """How long a file that another program has locked is waited for."""

    try_seconds: float = 2.0
    """One try, in a thread that cannot be stopped meanwhile."""
    thread_seconds: float = 10.0
    """What commands and threads wait in all: somebody waits for them."""
    task_seconds: float = 60.0
    """What tasks wait in all (`run`): a backup program's lock is over by then."""


TUNING: Final = SqliteTuning()


class SqliteFile:
    """An open SQLite file; `close` when done.

    Its own transactions may come from several threads. Another program may have it open, too,
    unless it is opened ``exclusive``.
    """

    def __init__(
        self,
        path: Path,
        remedy: str,
        *,
        synchronous: Literal["FULL", "NORMAL"] = "FULL",
        exclusive: bool = False,
        tuning: SqliteTuning = TUNING,
    ) -> None:
        """Open it, or make it (mode 0600).

        Args:
            path: Of the file.
            remedy: What an administrator can do when it is damaged.
            synchronous: ``FULL``: a commit that returned survives a power cut; ``NORMAL``: it
                may be undone, and the file stays whole.
            exclusive: Nobody else may open it. One connection, no shared memory.
            tuning: How long locks are waited for.

        Raises:
            LocalError: It cannot be made or read.
        """
        self.path = path
        self._remedy = remedy
        self._synchronous = synchronous
        self._exclusive = exclusive
        self._tuning = tuning
        self._waiting = False
        self._one = trio.CapacityLimiter(1)
        pool: dict[str, Any] = {"max_overflow": -1}  # as many as there are threads
        if exclusive:
            pool = {"poolclass": StaticPool}
        _make_private(path)
        self._engine = create_engine(
            f"sqlite:///{os.fspath(path)}",
            connect_args={"timeout": tuning.try_seconds, "check_same_thread": False},
            hide_parameters=True,  # errors are logged, and parameters may be patient data
            **pool,
        )
        event.listen(self._engine, "connect", self._connected)
        event.listen(self._engine, "begin", _begin)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    # ------------------------------------------------------------ transactions

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One state of the file, whatever is written meanwhile.

        Raises:
            LocalError: it cannot be read.
        """
        with self._errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self, patience: float | None = None) -> Iterator[Connection]:
        """A transaction: committed at the end of the block, rolled back by an exception.

        Args:
            patience: Seconds to wait for another program's lock; None for a thread's.

        Raises:
            DiskFullError: no room; nothing was changed.
            DatabaseLockedError: another program held the file for too long.
            CorruptStoreError: it is damaged.
            LocalError: it cannot be used otherwise.
        """
        end = time.monotonic() + (self._tuning.thread_seconds if patience is None else patience)
        with self._errors():
            while True:
                with self._engine.connect().execution_options(p2pacs_writes=True) as connection:
                    try:
                        connection.begin()
                    except DBAPIError as error:
                        if not self._again(error, end):
                            raise
                        continue
                    self._free()
                    yield connection
                    connection.commit()
                    return

    def _again(self, error: DBAPIError, end: float) -> bool:
        """Whether to try again what failed: the file is locked, and not yet for long."""
        if not is_locked(error):
            return False
        if not self._waiting:
            self._waiting = True
            log.warning("another program has locked a database: waiting", file=self.path.name)
        return time.monotonic() < end

    def _free(self) -> None:
        if self._waiting:
            self._waiting = False
            log.warning("a locked database is free again", file=self.path.name)

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction of its own, in this thread.

        Raises:
            LocalError: as `writing`.
        """
        with self.writing() as connection:
            return work(connection)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction of its own, in a worker thread, one at a time.

        Raises:
            LocalError: as `writing`.
        """
        end = time.monotonic() + self._tuning.task_seconds
        while True:
            try:
                return await trio.to_thread.run_sync(self._try, work, limiter=self._one)
            except DatabaseLockedError:
                if time.monotonic() >= end:
                    raise

    async def persist(self, work: Callable[[Connection], T]) -> T:
        """As `run`, for a task that has nobody to tell: until there is room, and no lock.

        Raises:
            LocalError: it cannot be used otherwise.
        """
        return await until_possible(partial(self.run, work), self.path.name)

    def _try(self, work: Callable[[Connection], T]) -> T:
        with self.writing(0) as connection:
            return work(connection)

    def copy_to(self, path: Path) -> None:
        """Copy its state of now into another file (mode 0600): whole, or not at all.

        Raises:
            LocalError: as `writing`.
        """
        part = path.with_name(f"{path.name}.part")
        with suppress(FileNotFoundError):
            part.unlink()
        _make_private(part)
        try:
            with self.reading() as connection, closing(sqlite3.connect(part)) as copy:
                source: Any = connection.connection.driver_connection
                source.backup(copy)
            part.replace(path)
        except sqlite3.Error as error:
            raise translated(DBAPIError(None, None, error), self.path, self._remedy) from error
        finally:
            for suffix in ("", "-journal"):
                part.with_name(part.name + suffix).unlink(missing_ok=True)

    # ------------------------------------------------------------ opening, errors

    def _connected(self, connection: Any, _record: object) -> None:
        # Python's driver would begin transactions late, and not at all before DDL.
        connection.isolation_level = None
        locking = "EXCLUSIVE" if self._exclusive else "NORMAL"
        for pragma in (
            f"locking_mode = {locking}",
            "journal_mode = WAL",
            f"synchronous = {self._synchronous}",
            "foreign_keys = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise translated(error, self.path, self._remedy) from error


def _begin(connection: Connection) -> None:
    # A transaction that writes takes its lock at once: later, it could only fail.
    writes = connection.get_execution_options().get("p2pacs_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _make_private(path: Path) -> None:
    """SQLite gives the files beside it the mode of this one."""
    try:
        path.touch(mode=0o600)
        for suffix in ("", "-wal", "-shm"):
            beside = path.with_name(path.name + suffix)
            with suppress(FileNotFoundError):
                if beside.stat().st_mode & 0o077:
                    beside.chmod(0o600)
    except OSError as error:
        raise local_error(error, f"cannot use {path.name}") from error
