"""The broker's database: one owner, transactions in a worker thread, built by migrations."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import trio
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError, OperationalError

from broker.database.schema import counters
from p2pacs.errors import CorruptStoreError, DiskFullError, P2PacsError, StateError

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_BUSY_SECONDS: Final = 10.0

T = TypeVar("T")


def now() -> int:
    """Milliseconds since 1970 (UTC), as all tables keep time."""
    return time.time_ns() // 1_000_000


class BrokerDatabase:
    """The open database; see `open_database`.

    The command line and the running broker may have it open at once (SQLite in WAL mode).
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._one = trio.CapacityLimiter(1)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction of its own: committed when it returns, else rolled back.

        Raises:
            DiskFullError: no room; nothing was changed.
            StateError: another program holds the database for too long.
            CorruptStoreError: the file is damaged.
        """
        return await trio.to_thread.run_sync(self.transact, work, limiter=self._one)

    def transact(self, work: Callable[[Connection], T]) -> T:
        """As `run`, in this thread: for commands, which have no event loop."""
        try:
            with self._engine.begin() as connection:
                return work(connection)
        except DatabaseError as error:
            raise _translated(error, self._name) from error


def _translated(error: DatabaseError, name: str) -> P2PacsError:
    said = str(error.orig)
    if "full" in said:
        return DiskFullError(f"no room to write {name}: free space on its disk")
    if isinstance(error, OperationalError):
        return StateError(f"cannot use {name}: {said}")
    return CorruptStoreError(f"{name} refuses: {said}; if it is damaged, restore it from a backup")


def bump(connection: Connection, counter: str) -> int:
    """The counter's next value.

    At least the time of day: a broker restored from a backup must not tell its members
    versions that they have already seen.
    """
    value = max(read_counter(connection, counter) + 1, now())
    statement = insert(counters).values(name=counter, value=value)
    connection.execute(statement.on_conflict_do_update(["name"], set_={"value": value}))
    return value


def read_counter(connection: Connection, counter: str) -> int:
    """The counter's value; 0 before the first `bump`."""
    query = select(counters.c.value).where(counters.c.name == counter)
    return int(connection.execute(query).scalar_one_or_none() or 0)


def migrate(path: Path) -> None:
    """Make the database, or bring it to this version's tables.

    Raises:
        StateError: a newer p2pacs made it.
    """
    path.touch(mode=0o600)
    engine = _engine(path)
    try:
        with engine.begin() as connection:
            command.upgrade(migrations(connection), "head")
    except DatabaseError as error:
        raise _translated(error, path.name) from error
    except CommandError as error:
        raise StateError(
            f"{path.name} cannot be brought to this version ({error}): was it made by a newer"
            " p2pacs?"
        ) from error
    finally:
        engine.dispose()


def migrations(connection: Connection) -> Config:
    """Alembic's configuration for this connection."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("file_template", "v%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config


def connect(path: Path) -> BrokerDatabase:
    """Open an existing database without migrating it.

    Raises:
        StateError: there is none.
    """
    if not path.is_file():
        raise StateError(f"there is no {path}: restore it from a backup")
    return BrokerDatabase(_engine(path), path.name)


@asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[BrokerDatabase]:
    """Bring the database to this version, open it, and close it at the end.

    Raises:
        StateError: a newer p2pacs made it.
    """
    await trio.to_thread.run_sync(migrate, path)
    engine = _engine(path)
    try:
        yield BrokerDatabase(engine, path.name)
    finally:
        engine.dispose()


def _engine(path: Path) -> Engine:
    engine = create_engine(
        f"sqlite:///{os.fspath(path)}",
        connect_args={"timeout": _BUSY_SECONDS},
        hide_parameters=True,  # errors are logged, and parameters may be patient data
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    # Python's driver would begin transactions late, and not at all before DDL.
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
