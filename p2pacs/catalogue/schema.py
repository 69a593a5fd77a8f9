"""Tables of the catalogue index (SQLite)."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

from p2pacs.portable import Long

VERSION: Final = 1
"""Of these tables. An index of another version is emptied: it can be filled again."""

metadata: Final = MetaData()

studies: Final = Table(
    "studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study", LargeBinary, nullable=False, unique=True),
    Column("uid", String, nullable=True, unique=True),  # null: a tombstone
    Column("seq", Long, nullable=False, unique=True),
    Column("record", LargeBinary, nullable=False),
)

terms: Final = Table(
    "terms",
    metadata,
    Column("kind", String, primary_key=True),
    Column("value", String, primary_key=True),
    Column("study", ForeignKey("studies.id"), primary_key=True),
    sqlite_with_rowid=False,
)
Index("terms_of_study", terms.c.study)

known: Final = Table(
    "known",
    metadata,
    Column("tag", String, primary_key=True),
)
"""Attributes that some study or series has or had a value of. Version 0.1 had no such table."""

former: Final = Table(
    "former",
    metadata,
    Column("study", LargeBinary, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("record", LargeBinary, nullable=False),
)
"""What studies were before they changed, oldest first; only in an index that others follow. Version
0.1 had no such table."""

state: Final = Table(
    "state",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Long, nullable=False),
)

gaps: Final = Table(
    "gaps",
    metadata,
    Column("after", Long, primary_key=True),
    Column("until", Long, nullable=False),
)
"""Sequence numbers between ``after`` and ``until`` were never given here. Version 0.1 had no such
table."""
