from pathlib import Path

from alembic import command

from broker.database import db
from broker.database.schema import metadata


def test_the_tables_are_those_that_migrations_build(tmp_path: Path) -> None:
    db.migrate(tmp_path / "broker.db")
    database = db.connect(tmp_path / "broker.db")
    database.transact(lambda c: command.check(db.migrations(c)))


def test_every_table_has_a_primary_key() -> None:
    assert [table.name for table in metadata.sorted_tables if not table.primary_key.columns] == []
