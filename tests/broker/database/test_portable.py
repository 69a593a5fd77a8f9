from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from broker.database.db import read_counter
from broker.database.portable import insert_missing, upsert
from broker.database.schema import counters


def test_a_row_is_inserted_once(connection: Connection) -> None:
    assert insert_missing(connection, counters, {"name": "one", "value": 1})
    assert not insert_missing(connection, counters, {"name": "one", "value": 2})
    assert read_counter(connection, "one") == 1


def test_a_row_is_inserted_or_changed(connection: Connection) -> None:
    for value in (1, 2):
        upsert(connection, counters, ["name"], {"name": "one", "value": value})
        assert read_counter(connection, "one") == value


class _Recorder:
    """A connection of a dialect that keeps what it is to execute."""

    def __init__(self, dialect: Any) -> None:
        self.dialect = dialect
        self.said = ""
        self.rowcount = 1

    def execute(self, statement: Any) -> "_Recorder":
        self.said = str(statement.compile(dialect=self.dialect))
        return self


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()], ids=["s", "p"])
def test_both_databases_take_it(dialect: Any) -> None:
    recorder: Any = _Recorder(dialect)
    insert_missing(recorder, counters, {"name": "one", "value": 1})
    assert "ON CONFLICT DO NOTHING" in recorder.said
    upsert(recorder, counters, ["name"], {"name": "one", "value": 1})
    assert "ON CONFLICT (name) DO UPDATE SET value =" in recorder.said


def test_no_statement_of_the_brokers_is_for_sqlite_alone() -> None:
    broker = Path(__file__).parents[3] / "broker"
    allowed = {"portable.py", "v0001_first_tables.py"}
    for path in broker.rglob("*.py"):
        if path.name not in allowed:
            assert "dialects.sqlite" not in path.read_text(), path
