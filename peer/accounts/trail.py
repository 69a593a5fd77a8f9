"""What was done about accounts in this hospital: sign-ins, and changes of the accounts.

It stays here; which studies were read, the broker is told (`peer.retrieval.audit`).
"""

from __future__ import annotations

from typing import Final

from attrs import frozen
from sqlalchemy import Connection, delete, func, insert, select

from p2pacs.accounts.sessions import now
from p2pacs.accounts.sign_in import SignInOutcome
from p2pacs.limits import TEXT
from p2pacs.texts import clean
from peer.db import trail

MOST: Final = 10_000
"""Entries that are kept: with the bounds on failed sign-ins some weeks at least."""


@frozen
class TrailEntry:
    """One line."""

    time: int
    """Milliseconds since 1970 (UTC)."""
    actor: str
    """The account, ``command line``, or ``-`` for somebody unknown."""
    what: str
    detail: str
    refused: bool


def note(
    connection: Connection, actor: str, what: str, detail: str = "", *, refused: bool = False
) -> None:
    """Write a line, in the transaction of what it tells of; the oldest beyond `MOST` goes."""
    row = {"time": now(), "actor": actor, "what": what, "detail": detail[:TEXT]}
    connection.execute(insert(trail).values(row | {"refused": refused}))
    newest = select(func.max(trail.c.id)).scalar_subquery()
    connection.execute(delete(trail).where(trail.c.id <= newest - MOST))


def note_sign_in(connection: Connection, outcome: SignInOutcome) -> None:
    """A sign-in, or one that was refused."""
    note(connection, outcome.account, "sign-in", outcome.detail, refused=outcome.failures > 0)


def read_trail(connection: Connection, most: int) -> list[TrailEntry]:
    """The newest entries, newest first."""
    query = select(trail).order_by(trail.c.id.desc()).limit(most)
    return [
        TrailEntry(row.time, clean(row.actor), row.what, clean(row.detail), row.refused)
        for row in connection.execute(query)
    ]
