"""Tables of accounts, to be made in the database of the program that has accounts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from sqlalchemy import Column, Connection, Index, LargeBinary, MetaData, String, Table

from p2pacs.sql.portable import Long

T = TypeVar("T")

metadata: Final = MetaData()

# Times are milliseconds since 1970 (UTC).

accounts: Final = Table(
    "accounts",
    metadata,
    Column("name", String, primary_key=True),
    Column("password_hash", String, nullable=False),
    Column("role", String, nullable=False),
)
"""``role``: what the account may do; each program has its own (`p2pacs.accounts.rights`)."""

sessions: Final = Table(
    "sessions",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("account", String, nullable=False),
    Column("csrf", String, nullable=False),
    Column("source", String, nullable=False),
    Column("started", Long, nullable=False),
    Column("used", Long, nullable=False),
)
"""``source``: network address that signed in."""

known_places: Final = Table(
    "known_places",
    metadata,
    Column("place_hash", LargeBinary, primary_key=True),
    Column("account", String, nullable=False),
    Column("used", Long, nullable=False),
)
"""Browsers and network addresses from which an account signed in; hashed with the account."""
Index("ix_known_places_account", known_places.c.account)


second_factors: Final = Table(
    "second_factors",
    metadata,
    Column("account", String, primary_key=True),
    Column("secret", LargeBinary, nullable=False),
    Column("step", Long, nullable=False),
)
"""``step``: half minute of the last code that was used (`p2pacs.accounts.one_time`)."""

recovery_codes: Final = Table(
    "recovery_codes",
    metadata,
    Column("code_hash", LargeBinary, primary_key=True),
    Column("account", String, nullable=False),
)
Index("ix_recovery_codes_account", recovery_codes.c.account)

preferences: Final = Table(
    "preferences",
    metadata,
    Column("account", String, primary_key=True),
    Column("language", String, nullable=False),
)
"""How somebody wants the pages; who never said so has no row."""


class AccountsDatabase(Protocol):
    """The database of the program that has accounts."""

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction of its own, in a worker thread."""
