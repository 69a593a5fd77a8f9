"""The broker's database: one owner, transactions in a worker thread, built by migrations."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio
from sqlalchemy import Connection, inspect, select, text

from broker.database.schema import counters
from p2pacs.errors import StateError
from p2pacs.portable import advance, clock, greatest, insert_missing
from p2pacs.sqlite import TUNING, SqliteFile, SqliteTuning, until_possible

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS: Final = Path(__file__).parent / "migrations"


def now() -> int:
    """Milliseconds since 1970 (UTC), as all tables keep time."""
    return time.time_ns() // 1_000_000


class BrokerDatabase(SqliteFile):
    """The open database; see `open_database`.

    The command line and the running broker may have it open at once (SQLite in WAL mode).
    """

    def __init__(self, path: Path, tuning: SqliteTuning = TUNING) -> None:
        super().__init__(path, "restore it from a backup", tuning=tuning)


def bump(connection: Connection, counter: str, above: int = 0) -> int:
    """The counter's next value, taken from the database in one statement (`advance`).

    At least the time of day on the database's clock: a broker restored from a backup must not
    tell its members versions that they have already seen.

    Args:
        connection: a transaction.
        counter: its name.
        above: a value that members have seen, though this database may not know it.
    """
    insert_missing(connection, counters, {"name": counter, "value": 0})
    least = greatest(clock(connection), above + 1)
    return advance(connection, counters, counter, least=least)


def read_counter(connection: Connection, counter: str) -> int:
    """The counter's value; 0 before the first `bump`."""
    query = select(counters.c.value).where(counters.c.name == counter)
    return int(connection.execute(query).scalar_one_or_none() or 0)


def lock_counter(connection: Connection, counter: str) -> int:
    """The counter's value, which nobody raises before this transaction ends: what is read after it
    belongs to that value, and to no later one.

    Args:
        connection: a transaction.
        counter: its name.
    """
    insert_missing(connection, counters, {"name": counter, "value": 0})
    query = select(counters.c.value).where(counters.c.name == counter).with_for_update()
    return int(connection.execute(query).scalar_one())


def migrate(path: Path) -> None:
    """Make the database, or bring it to this version's tables.

    Raises:
        StateError: a newer p2pacs made it.
    """
    with closing(BrokerDatabase(path)) as database:
        if database.transact(_revision) != newest_revision():
            _upgrade(database)


def newest_revision() -> str:
    """The revision of this version's tables: of the last file among the migrations."""
    files = (_MIGRATIONS / "versions").glob("v[0-9]*_*.py")
    return max(file.name.removeprefix("v").partition("_")[0] for file in files)


def _revision(connection: Connection) -> str | None:
    """The revision of the tables that there are."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    query = text("SELECT version_num FROM alembic_version")
    revision: str | None = connection.execute(query).scalar_one_or_none()
    return revision


def _upgrade(database: BrokerDatabase) -> None:
    from alembic import command  # noqa: PLC0415 - a tenth of a second, for new versions alone
    from alembic.util import CommandError  # noqa: PLC0415

    try:
        database.transact(lambda connection: command.upgrade(migrations(connection), "head"))
    except CommandError as error:
        raise StateError(
            f"{database.path.name} cannot be brought to this version ({error}): was it made by a "
            "newer p2pacs?"
        ) from error


def migrations(connection: Connection) -> Config:
    """Alembic's configuration for this connection."""
    from alembic.config import Config  # noqa: PLC0415

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
    return BrokerDatabase(path)


@asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[BrokerDatabase]:
    """Bring the database to this version, open it, and close it at the end.

    Raises:
        StateError: a newer p2pacs made it.
    """
    await until_possible(partial(trio.to_thread.run_sync, migrate, path), path.name)
    database = BrokerDatabase(path)
    try:
        yield database
    finally:
        database.close()
