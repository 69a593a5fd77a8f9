"""The index of the spool: which instances lie there, and how far their studies are."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    text,
)

from p2pacs.errors import StateError

SCHEMA: Final = 1
"""``PRAGMA user_version`` of the file."""

metadata: Final = MetaData()

instances: Final = Table(
    "instances",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("study_uid", String, nullable=False),
    Column("series_uid", String, nullable=False),
    Column("uid", String, nullable=False),
    Column("sop_class", String, nullable=False),
    Column("syntax", String, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False),
    Column("attributes", LargeBinary, nullable=False),
    Column("file", String),
    Column("caller", String, nullable=False),
    Column("came", Integer, nullable=False),
    Column("beside", Boolean, nullable=False),
    sqlite_autoincrement=True,
)
"""In the order in which they came. ``sha256`` and ``size`` are those of the data set, ``file`` is
null once it is not needed any more, ``came`` milliseconds since 1970; ``beside`` are those that
came under the UID of another one, or are broken: they are kept and not published."""
Index(
    "ix_instances_published",
    instances.c.study_uid,
    instances.c.uid,
    unique=True,
    sqlite_where=text("NOT beside"),
)
Index("ix_instances_uid", instances.c.uid)
Index("ix_instances_study", instances.c.study_uid, instances.c.number)

studies: Final = Table(
    "studies",
    metadata,
    Column("uid", String, primary_key=True),
    Column("study", LargeBinary),
    Column("version", Integer, nullable=False),
    Column("published", Integer, nullable=False),
    Column("safe", Integer, nullable=False),
    Column("refused", String),
)
"""``study`` is the id that the broker gave, ``version`` the newest that was published here.
``published`` and ``safe`` are numbers of instances: all up to the one are published, all up to the
other are elsewhere, too. ``refused`` says why the broker lets nothing of it be published."""


def prepare(connection: Connection) -> None:
    """Make the tables.

    Raises:
        StateError: a file of a newer p2pacs.
    """
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version not in (0, SCHEMA):
        raise StateError(
            f"the spool has format {version}, this p2pacs knows {SCHEMA}: use the newer p2pacs"
        )
    metadata.create_all(connection)
    if version != SCHEMA:
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA}")
