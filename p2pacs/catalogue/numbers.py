"""The catalogue's sequence numbers: taken from the database, and never told twice.

A number is one more than the last, in the transaction that writes what it numbers. An index that is
opened goes on at the time of day on the database's clock, and remembers which numbers it passed
over: **gaps**. Of itself, it has told none of those. If it was restored from a backup, the index
that was lost has told some, so a follower whose position is in a gap followed that one: it starts
anew. Nobody need notice that something was restored, and who followed this index goes on.

This holds as long as numbers are given more slowly than one a millisecond from opening to loss, and
the clock was not set back.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update

from p2pacs.catalogue.schema import gaps, state
from p2pacs.sql.portable import advance, clock, insert_missing

MOST: Final = 64
"""Gaps that are remembered: a follower that was away for as many starts starts anew, too."""


def read(connection: Connection, name: str) -> int:
    """One of the numbers that an index keeps of itself."""
    return int(connection.execute(select(state.c.value).where(state.c.name == name)).scalar_one())


def write(connection: Connection, name: str, value: int) -> None:
    """Keep a number."""
    connection.execute(update(state).where(state.c.name == name).values(value=value))


def begin(connection: Connection) -> None:
    """The numbers of an index that is opened, or made.

    One that follows another's feed is not followed itself, and is opened without a change: on a
    full disk, too.
    """
    for name in ("floor", "seq", "position", "vocabulary", "known", "terms"):
        insert_missing(connection, state, {"name": name, "value": 0})
    if not read(connection, "position"):
        after = advance(connection, state, "seq", 0)  # locks it
        until = advance(connection, state, "seq", least=clock(connection))
        connection.execute(insert(gaps).values(after=after, until=until))
        _forget(connection)
    if insert_missing(connection, state, {"name": "former", "value": 1}):
        # New, or of version 0.1, which did not know what its studies were before.
        write(connection, "floor", read(connection, "seq"))


def was_told(connection: Connection, seq: int) -> bool:
    """Whether a follower can have this number from this index."""
    if not read(connection, "floor") <= seq <= read(connection, "seq"):
        return False
    within = select(gaps.c.after).where(gaps.c.after < seq, gaps.c.until > seq)
    return connection.execute(within.limit(1)).first() is None


def _forget(connection: Connection) -> None:
    """Of too many gaps the oldest; nothing before its end is believed any more."""
    count = int(connection.execute(select(func.count()).select_from(gaps)).scalar_one())
    if count <= MOST:
        return
    oldest = select(gaps).order_by(gaps.c.after).limit(count - MOST)
    for row in connection.execute(oldest).all():
        connection.execute(delete(gaps).where(gaps.c.after == row.after))
        write(connection, "floor", max(read(connection, "floor"), row.until))
