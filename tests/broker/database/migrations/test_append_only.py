"""On SQLite; tests/conformance/test_postgresql.py tries the same on the other."""

from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, insert, select, text

from broker.database import db
from broker.database.migrations.append_only import allow_updates, refuse_updates
from broker.database.schema import audit
from p2pacs.errors import CorruptStoreError
from p2pacs.sql.sqlite import SqliteFile

UPDATE, DELETE = "UPDATE audit SET outcome = 'no'", "DELETE FROM audit"


@pytest.fixture
def database(tmp_path: Path) -> SqliteFile:
    db.migrate(tmp_path / "broker.db")
    opened = db.connect(tmp_path / "broker.db")
    row = {"time": 1, "actor": "a", "what": "w", "detail": "", "outcome": "yes"}
    opened.transact(lambda c: c.execute(insert(audit), row))
    return opened


def migration(*steps: Callable[[], None] | str) -> Callable[[Connection], None]:
    """Steps of a migration, and statements, in one transaction."""

    def run(connection: Connection) -> None:
        with Operations.context(MigrationContext.configure(connection)):
            for step in steps:
                if isinstance(step, str):
                    connection.execute(text(step))
                else:
                    step()

    return run


def outcomes(database: SqliteFile) -> list[str]:
    return list(database.transact(lambda c: c.execute(select(audit.c.outcome)).scalars().all()))


@pytest.mark.parametrize("change", [UPDATE, DELETE])
def test_the_audit_trail_is_append_only(database: SqliteFile, change: str) -> None:
    with pytest.raises(CorruptStoreError, match="append-only"):
        database.transact(lambda c: c.execute(text(change)))
    assert outcomes(database) == ["yes"]


def test_a_migration_fills_in_what_is_new_and_nobody_else_afterwards(database: SqliteFile) -> None:
    database.transact(migration(allow_updates, UPDATE, refuse_updates))
    assert outcomes(database) == ["no"]
    with pytest.raises(CorruptStoreError, match="append-only"):
        database.transact(lambda c: c.execute(text(UPDATE)))


def test_a_migration_deletes_nothing(database: SqliteFile) -> None:
    with pytest.raises(CorruptStoreError, match="append-only"):
        database.transact(migration(allow_updates, DELETE, refuse_updates))
    assert outcomes(database) == ["yes"]


def test_a_migration_that_fails_in_between_leaves_no_way_in(database: SqliteFile) -> None:
    with pytest.raises(CorruptStoreError):
        database.transact(migration(allow_updates, "SELECT * FROM no_such_table"))
    with pytest.raises(CorruptStoreError, match="append-only"):
        database.transact(lambda c: c.execute(text(UPDATE)))
