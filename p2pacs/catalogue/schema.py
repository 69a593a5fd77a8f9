"""Tables of the catalogue index: in a file of their own, or in a database with other tables."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    inspect,
)

from p2pacs.sql.portable import Long

VERSION: Final = 2
"""Of these tables, in a file of their own. An index of a version that is not known is emptied: it
can be filled again."""

metadata: Final = MetaData()

studies: Final = Table(
    "catalogue_studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study", LargeBinary, nullable=False, unique=True),
    Column("uid", String, nullable=True, unique=True),  # null: a tombstone
    Column("seq", Long, nullable=False, unique=True),
    Column("record", LargeBinary, nullable=False),
)

terms: Final = Table(
    "catalogue_terms",
    metadata,
    Column("kind", String, primary_key=True),
    Column("value", String, primary_key=True),
    Column("study", ForeignKey("catalogue_studies.id"), primary_key=True),
    sqlite_with_rowid=False,
)
of_study: Final = Index("ix_catalogue_terms_study", terms.c.study)

known: Final = Table(
    "catalogue_known",
    metadata,
    Column("tag", String, primary_key=True),
)
"""Attributes of which the PACS told a value of some study or series."""

former: Final = Table(
    "catalogue_former",
    metadata,
    Column("study", LargeBinary, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("record", LargeBinary, nullable=False),
)
"""What studies were before they changed, oldest first; only in an index that others follow."""

state: Final = Table(
    "catalogue_state",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Long, nullable=False),
)

gaps: Final = Table(
    "catalogue_gaps",
    metadata,
    Column("after", Long, primary_key=True, autoincrement=False),
    Column("until", Long, nullable=False),
)
"""Sequence numbers between ``after`` and ``until`` were never given here."""


def prepare(connection: Connection) -> None:
    """Make the tables in a file of their own, or bring it to this version."""
    version = connection.exec_driver_sql("PRAGMA user_version").scalar()
    if version == _BARE_NAMES:
        _rename(connection)
    elif version not in (0, VERSION):
        metadata.drop_all(connection)
    metadata.create_all(connection)
    if version != VERSION:  # a full disk is no reason not to open
        connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")


_BARE_NAMES: Final = 1
"""Of version 0.1, whose tables were called ``studies`` for ``catalogue_studies``, and so on; some
came later."""


def _rename(connection: Connection) -> None:
    there = inspect(connection).get_table_names()
    connection.exec_driver_sql("DROP INDEX IF EXISTS terms_of_study")
    for table in metadata.sorted_tables:
        bare = table.name.removeprefix("catalogue_")
        if bare in there:
            connection.exec_driver_sql(f"ALTER TABLE {bare} RENAME TO {table.name}")
    if "terms" in there:
        of_study.create(connection)
