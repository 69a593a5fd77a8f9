"""The broker's database: one owner, transactions in a worker thread, built by migrations."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
import trio
from sqlalchemy import Connection, inspect, select, text

from broker.database.schema import counters
from p2pacs.concurrency.until_possible import until_possible
from p2pacs.errors import StateError
from p2pacs.sql.portable import advance, clock, greatest, insert_missing
from p2pacs.sql.sqlite import TUNING, SqliteFile, SqliteTuning

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS: Final = Path(__file__).parent / "migrations"

COPIES: Final = 3
"""Of databases as they were before an upgrade."""

log = structlog.get_logger(__name__)


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

    Before that what was there is copied: the way back to the version that made it.

    Raises:
        StateError: a newer p2pacs made it.
    """
    with closing(BrokerDatabase(path)) as database:
        revision, newest = database.transact(_revision), newest_revision()
        if revision == newest:
            return
        if revision is not None:
            if revision not in _revisions():
                raise StateError(
                    f"{path.name} was made by a newer p2pacs (its tables are of revision "
                    f"{revision}, this one knows {newest}): install that, or go back to a "
                    "backup (docs/operations.md, Upgrade)"
                )
            _keep_copy(database, newest)
        _upgrade(database)


def _keep_copy(database: BrokerDatabase, newest: str) -> None:
    """Beside the database: ``broker.db.before-NEWEST``, with the last few of earlier upgrades."""
    path = database.path
    copy = path.with_name(f"{path.name}.before-{newest}")
    database.copy_to(copy)
    log.info("the database is upgraded; a copy of it as it was is kept", file=copy.name)
    for old in sorted(path.parent.glob(f"{path.name}.before-[0-9]*"))[:-COPIES]:
        old.unlink()


def newest_revision() -> str:
    """The revision of this version's tables: of the last file among the migrations."""
    return max(_revisions())


def _revisions() -> set[str]:
    files = (_MIGRATIONS / "versions").glob("v[0-9]*_*.py")
    return {file.name.removeprefix("v").partition("_")[0] for file in files}


def _revision(connection: Connection) -> str | None:
    """The revision of the tables that there are."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    query = text("SELECT version_num FROM alembic_version")
    revision: str | None = connection.execute(query).scalar_one_or_none()
    return revision


def _upgrade(database: BrokerDatabase) -> None:
    from alembic import command  # noqa: PLC0415 - a tenth of a second, for new versions alone

    database.transact(lambda connection: command.upgrade(migrations(connection), "head"))


def migrations(connection: Connection) -> Config:
    """Alembic's configuration for this connection."""
    from alembic.config import Config  # noqa: PLC0415

    # Its own default is the standard output of the moment when Alembic was loaded.
    config = Config(stdout=sys.stdout)
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
