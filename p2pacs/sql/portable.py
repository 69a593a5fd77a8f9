"""Statements that SQLite and PostgreSQL both have and SQLAlchemy Core has no common word for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Table,
    case,
    literal,
    literal_column,
    update,
)
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

Long: Final = BigInteger().with_variant(Integer(), "sqlite")
"""Of 64 bits, for milliseconds since 1970 and what grows with them: an INTEGER of SQLite's is that
long anyway, and only such a one numbers the rows of a table."""

_CLOCKS: Final = {
    "postgresql": "CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT)",
    "sqlite": "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)",
}
"""Exact to the millisecond; SQLite before 3.42 has no ``unixepoch('subsec')``."""


def _insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - 2 MB; members have SQLite

        return postgresql.insert(table)
    return sqlite.insert(table)


def insert_missing(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert a row unless one with its key is there; whether it was inserted."""
    statement = _insert(connection, table).values(row).on_conflict_do_nothing()
    return connection.execute(statement).rowcount == 1


def upsert(
    connection: Connection, table: Table, key: Sequence[str], row: Mapping[str, Any]
) -> None:
    """Insert a row, or give the one with the same key the other values."""
    connection.execute(_upsert(connection, table, key, row))


def add_up(
    connection: Connection, table: Table, key: Mapping[str, Any], column: str, more: int
) -> None:
    """Add to a number in the row with this key; insert the row with it if there is none."""
    statement = _insert(connection, table).values({**key, column: more})
    total = {column: table.c[column] + statement.excluded[column]}
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=total))


def upsert_numbered(
    connection: Connection, table: Table, key: Sequence[str], row: Mapping[str, Any]
) -> int:
    """As `upsert`; the row's number in the column ``id``."""
    statement = _upsert(connection, table, key, row).returning(table.c.id)
    return int(connection.execute(statement).scalar_one())


def _upsert(
    connection: Connection, table: Table, key: Sequence[str], row: Mapping[str, Any]
) -> sqlite.Insert | postgresql.Insert:
    values = {name: value for name, value in row.items() if name not in key}
    statement = _insert(connection, table).values(row)
    return statement.on_conflict_do_update(index_elements=list(key), set_=values)


def clock(connection: Connection) -> ColumnElement[int]:
    """Milliseconds since 1970 (UTC) on the database's clock: one for all that use it."""
    return literal_column(_CLOCKS[connection.dialect.name], Long)


def greatest(one: ColumnElement[int] | int, other: ColumnElement[int] | int) -> ColumnElement[int]:
    """The greater of two numbers: SQLite's ``max`` is PostgreSQL's ``greatest``."""
    first, second = (literal(n, Long) if isinstance(n, int) else n for n in (one, other))
    return case((first >= second, first), else_=second)


def advance(
    connection: Connection,
    table: Table,
    name: str,
    by: int = 1,
    *,
    least: ColumnElement[int] | int = 0,
) -> int:
    """Raise a number by so much, and at least to ``least``; what it is then.

    One statement, which keeps the row locked until the transaction ends: whoever else wants a
    number waits, so none is given twice, and numbers appear in the order in which they grow.

    Args:
        connection: a transaction.
        table: with columns ``name`` and ``value``.
        name: of a row that is there.
        by: how many numbers are taken.
        least: the last of them is not less.
    """
    statement = (
        update(table)
        .where(table.c.name == name)
        .values(value=greatest(table.c.value + by, least))
        .returning(table.c.value)
    )
    return int(connection.execute(statement).scalar_one())
