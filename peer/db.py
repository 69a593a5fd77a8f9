"""What a peer remembers besides chunks and catalogue, in one SQLite file: grants, unsent audit,
what is to be fetched.

One owner: `open_database` opens the file and closes it; everything else asks
`PeerDatabase.run`, which runs one transaction at a time in a worker thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import trio
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
)
from sqlalchemy.exc import DatabaseError, OperationalError

from p2pacs.errors import CorruptStoreError, DiskFullError, P2PacsError, StateError

SCHEMA: Final = 1
"""``PRAGMA user_version`` of the file."""

metadata = MetaData()

grants = Table(
    "grants",
    metadata,
    Column("study", LargeBinary, primary_key=True),
    Column("wrapped_key", LargeBinary, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("record", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

replications = Table(
    "replications",
    metadata,
    Column("study", LargeBinary, primary_key=True),
)

fetches = Table(
    "fetches",
    metadata,
    Column("study", LargeBinary, primary_key=True),
    Column("caller", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("detail", Text),
    Column("priority", Integer, nullable=False),
    Column("asked", Integer, nullable=False),
)

T = TypeVar("T")


class PeerDatabase:
    """The open file; see `open_database`."""

    def __init__(self, engine: Engine, path: Path) -> None:
        self._engine = engine
        self._path = path
        self._one = trio.CapacityLimiter(1)

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction of its own: committed when it returns, else rolled back.

        Raises:
            DiskFullError: no room; nothing was changed.
            CorruptStoreError: the file is damaged.
        """
        return await trio.to_thread.run_sync(self._transact, work, limiter=self._one)

    def _transact(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._engine.begin() as connection:
                return work(connection)
        except DatabaseError as error:
            raise self._translated(error) from error

    def _translated(self, error: DatabaseError) -> P2PacsError:
        if "full" in str(error.orig):
            return DiskFullError(f"no room to write {self._path.name}: free space on its disk")
        if isinstance(error, OperationalError):
            return StateError(f"cannot use {self._path.name}: {error.orig}")
        return CorruptStoreError(
            f"{self._path.name} is damaged ({error.orig}): move it away and start again; "
            "keys are granted anew by the broker"
        )


def _prepare(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _create(connection: Connection) -> None:
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version not in (0, SCHEMA):
        raise StateError(
            f"peer.db has format {version}, this p2pacs knows {SCHEMA}: use the newer p2pacs"
        )
    metadata.create_all(connection)
    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA}")


@asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[PeerDatabase]:
    """Open the file, made if it is missing (mode 0600), and close it at the end.

    Raises:
        StateError: a file of a newer p2pacs.
    """
    await trio.Path(path).touch(mode=0o600, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", _prepare)
    database = PeerDatabase(engine, path)
    try:
        await database.run(_create)
        yield database
    finally:
        engine.dispose()
