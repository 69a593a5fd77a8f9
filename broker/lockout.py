"""Lock-out after repeated failures, with a growing delay; kept in the database.

An attempt counts as failed until it is known to have succeeded, so that a hundred
attempts at once are counted before the first is answered.
"""

from __future__ import annotations

import hashlib
from typing import Final

from attrs import frozen
from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert

from broker.config import DAY, MINUTE
from broker.database.db import now
from broker.database.schema import failures
from p2pacs.errors import TooManyAttemptsError

FORGOTTEN: Final = DAY
"""Seconds after which failures are forgotten."""


@frozen
class LockoutPolicy:
    """How many failures are borne, and the delays (seconds) after that."""

    free: int
    first: int
    longest: int

    def delay_after(self, count: int) -> int:
        """Seconds to wait after this many failures in a row: doubles up to the longest."""
        if count < self.free:
            return 0
        return int(min(self.first * 2 ** min(count - self.free, 30), self.longest))


ENROL: Final = LockoutPolicy(free=20, first=1, longest=MINUTE)
"""Wrong tokens of all together: a token cannot be guessed, this only keeps the trail short. Who
has a good one is not held up."""


def subject(what: str, *who: str) -> str:
    """Whose attempts are counted together. Hashed: people type passwords into name fields."""
    return f"{what}:{hashlib.sha256(chr(0).join(who).encode()).hexdigest()}"


def begin(connection: Connection, who: str, patience: LockoutPolicy) -> None:
    """Count an attempt, which `succeeded` takes back.

    Raises:
        TooManyAttemptsError: locked out; nothing is counted.
    """
    at = now()
    connection.execute(delete(failures).where(failures.c.last < at - FORGOTTEN * 1000))
    columns = failures.c["count"].label("number"), failures.c.locked_until
    row = connection.execute(select(*columns).where(failures.c.subject == who)).one_or_none()
    if row is not None and at < row.locked_until:
        seconds = -(-(row.locked_until - at) // 1000)
        raise TooManyAttemptsError(f"too many failed attempts: try again in {_plain(seconds)}")
    count = 1 if row is None else row.number + 1
    until = at + patience.delay_after(count) * 1000
    values = {"count": count, "last": at, "locked_until": until}
    statement = insert(failures).values(subject=who, **values)
    connection.execute(statement.on_conflict_do_update(["subject"], set_=values))


def succeeded(connection: Connection, who: str) -> None:
    """Forget the failures."""
    connection.execute(delete(failures).where(failures.c.subject == who))


def _plain(seconds: int) -> str:
    if seconds < 2 * MINUTE:
        return f"{seconds} seconds"
    return f"{-(-seconds // MINUTE)} minutes"
