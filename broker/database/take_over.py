"""Until version 0.1 the broker's catalogue had a file of its own: it is taken over, once."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import structlog
import trio
from sqlalchemy import Connection, insert, select

from p2pacs.catalogue import schema
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.concurrency.until_possible import until_possible
from p2pacs.errors import CorruptStoreError, local_error
from p2pacs.sql.sqlite import SqliteFile

_BATCH: Final = 1000
"""Rows at a time."""

log = structlog.get_logger(__name__)


async def open_catalogue(before: Path, database: SqliteFile) -> CatalogueIndex:
    """The catalogue in the database, as soon as that can be read; see `take_over`.

    Args:
        before: the file that the version before had it in, if there is one.
        database: the broker's.
    """

    def work() -> CatalogueIndex:
        take_over(before, database)
        return CatalogueIndex(database)

    return await until_possible(partial(trio.to_thread.run_sync, work), database.path.name)


def take_over(path: Path, database: SqliteFile) -> None:
    """Bring the catalogue in this file into the database, unless that has one; then remove it.

    Studies, and the numbers that members were told: they go on with those. A file that is damaged
    is removed, too: the catalogue is filled again from the PACS.

    Raises:
        LocalError: one of the two cannot be used now; nothing was changed.
    """
    if not path.exists():
        return
    try:
        _copy(path, database)
        log.info("the catalogue was taken over", file=path.name)
    except CorruptStoreError as error:
        log.warning("the catalogue is made anew", error=str(error))
    try:
        for suffix in ("-wal", "-shm", ""):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise local_error(error, f"cannot remove {path.name}, which was taken over") from error


def _copy(path: Path, database: SqliteFile) -> None:
    CatalogueIndex(path).close()  # brings its tables to this version
    old = SqliteFile(path, "remove it, it is filled again")
    try:
        with old.reading() as source, database.writing() as target:
            if target.execute(select(schema.state).limit(1)).first() is None:
                _copy_tables(source, target)
    finally:
        old.close()


def _copy_tables(source: Connection, target: Connection) -> None:
    for table in schema.metadata.sorted_tables:
        rows = source.execution_options(yield_per=_BATCH).execute(select(table))
        for some in rows.mappings().partitions():
            target.execute(insert(table), [dict(row) for row in some])
