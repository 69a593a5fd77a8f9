import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Connection, MetaData, String, Table, create_engine, select
from sqlalchemy.dialects import postgresql, sqlite

from p2pacs.sql.portable import (
    Long,
    advance,
    clock,
    greatest,
    insert_missing,
    upsert,
    upsert_numbered,
)

numbers = Table(
    "numbers",
    MetaData(),
    Column("name", String, primary_key=True),
    Column("value", Long, nullable=False),
)


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        numbers.create(connection)
        yield connection
    engine.dispose()


def value(connection: Connection) -> int:
    return int(connection.execute(select(numbers.c.value)).scalar_one())


def test_a_row_is_inserted_once(connection: Connection) -> None:
    assert insert_missing(connection, numbers, {"name": "one", "value": 1})
    assert not insert_missing(connection, numbers, {"name": "one", "value": 2})
    assert value(connection) == 1


def test_a_row_is_inserted_or_changed(connection: Connection) -> None:
    for number in (1, 2):
        upsert(connection, numbers, ["name"], {"name": "one", "value": number})
        assert value(connection) == number


def test_a_row_that_is_changed_keeps_its_number(connection: Connection) -> None:
    table = Table(
        "numbered",
        MetaData(),
        Column("id", Long, primary_key=True),
        Column("name", String, unique=True),
        Column("value", Long),
    )
    table.create(connection)
    rows = [("one", 1), ("two", 2), ("one", 3)]
    numbered = [
        upsert_numbered(connection, table, ["name"], {"name": name, "value": number})
        for name, number in rows
    ]
    assert numbered[0] == numbered[2] != numbered[1]
    held = connection.execute(select(table.c.name, table.c.value)).all()
    assert {tuple(row) for row in held} == {("one", 3), ("two", 2)}


@pytest.mark.parametrize(
    ("by", "least", "expected"), [(1, 0, 6), (3, 0, 8), (0, 0, 5), (1, 6, 6), (1, 2**40, 2**40)]
)
def test_a_number_grows(connection: Connection, by: int, least: int, expected: int) -> None:
    insert_missing(connection, numbers, {"name": "one", "value": 5})
    assert advance(connection, numbers, "one", by, least=least) == expected
    assert value(connection) == expected


def test_the_databases_clock_tells_the_time(connection: Connection) -> None:
    before = time.time_ns() // 1_000_000
    told = connection.execute(select(clock(connection))).scalar_one()
    assert before <= told <= time.time_ns() // 1_000_000
    later = greatest(clock(connection), told + 10**9)
    assert connection.execute(select(later)).scalar_one() == told + 10**9


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
    insert_missing(recorder, numbers, {"name": "one", "value": 1})
    assert "ON CONFLICT DO NOTHING" in recorder.said
    upsert(recorder, numbers, ["name"], {"name": "one", "value": 1})
    assert "ON CONFLICT (name) DO UPDATE SET value =" in recorder.said
    recorder.scalar_one = lambda: 7
    assert advance(recorder, numbers, "one", least=clock(recorder)) == 7
    assert recorder.said.startswith("UPDATE numbers SET value=CASE WHEN")
    assert "RETURNING" in recorder.said


def test_no_statement_of_the_brokers_is_for_sqlite_alone() -> None:
    broker = Path(__file__).parents[3] / "broker"
    for path in broker.rglob("*.py"):
        assert "dialects" not in path.read_text(), path
