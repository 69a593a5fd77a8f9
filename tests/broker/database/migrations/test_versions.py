"""Whatever version made a database, it comes to the tables of a new one, with what is in it."""

from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, inspect, text

from broker.database import db
from p2pacs.sql.sqlite import SqliteFile

VERSIONS = Path(db.__file__).parent / "migrations" / "versions"
OLD = sorted(path.name[1:5] for path in VERSIONS.glob("v[0-9]*_*.py"))[:-1]

KEPT = ("audit", "members", "studies", "grants")
"""Tables of which no version may lose a row."""

MEANT = {"role": "'hospital'", "read": "'all'", "what": "'study read'", "step": "'hour'"}
"""Columns that do not take any text."""


def tables(connection: Connection) -> dict[str, str]:
    """Tables, indexes and triggers by name, as SQLite would make them again.

    SQLite puts a column that was added behind those that were there, and keeps the blanks of the
    statement: what counts is which columns there are, and how each is declared.
    """
    rows = connection.execute(text("SELECT type, name, tbl_name, sql FROM sqlite_master"))
    found = {}
    columns_of = "SELECT * FROM pragma_table_info(:name)"
    for kind, name, table, sql in rows:
        if kind == "table":
            columns = connection.execute(text(columns_of), {"name": name})
            said = sorted(str(tuple(column)[1:]) for column in columns)
            found[name] = "; ".join(said)
        else:
            found[name] = f"{kind} on {table}: {' '.join((sql or '').split())}"
    return found


def fill(connection: Connection) -> None:
    """A row in each table, so that nothing can be added to it that has no value for those."""
    known = inspect(connection)
    for table in known.get_table_names():
        if table == "alembic_version":
            continue
        values = {}
        for column in known.get_columns(table):
            name, kind = column["name"], str(column["type"])
            usual = "x'fd01'" if "BLOB" in kind else "1" if "INT" in kind else "'a'"
            values[name] = MEANT.get(name, usual)
        names = ", ".join(f'"{name}"' for name in values)
        said = ", ".join(values.values())
        insert = 'INSERT INTO "{}" ({}) VALUES ({})'
        connection.execute(text(insert.format(table, names, said)))


def counts(connection: Connection) -> dict[str, int]:
    there = set(inspect(connection).get_table_names())
    query = "SELECT count(*) FROM {}"
    return {
        one: int(connection.execute(text(query.format(one))).scalar_one())
        for one in KEPT
        if one in there
    }


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    path = tmp_path_factory.mktemp("fresh") / "broker.db"
    db.migrate(path)
    return db.connect(path).transact(tables)


@pytest.mark.parametrize("revision", OLD)
def test_a_database_of_every_version_before_becomes_one_of_today(
    revision: str, fresh: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "broker.db"
    with_rows = SqliteFile(path, "")
    with_rows.transact(lambda c: command.upgrade(db.migrations(c), revision))
    with_rows.transact(fill)
    before = with_rows.transact(counts)
    with_rows.close()
    db.migrate(path)
    opened = db.connect(path)
    assert opened.transact(tables) == fresh
    assert {one: opened.transact(counts)[one] for one in before} == before
    assert set(before.values()) == {1}
