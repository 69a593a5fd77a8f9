"""The store's index: which chunks of which studies lie where, in one SQLite database.

Synchronous and owned by one `ChunkStore`, which calls it in worker threads, one call
at a time. A chunk's row is committed only after its bytes are durable.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from attrs import define, field, frozen

from p2pacs.errors import CorruptStoreError
from p2pacs.ids import ChunkId, StudyId
from p2pacs.sql.sqlite import SqliteFile
from p2pacs.store.extents import Extent

_SCHEMA_VERSION: Final = 2
"""2 added ``promised_until``, which nothing uses any more; programs of that version open it."""

_metadata = sa.MetaData()

_studies = sa.Table(
    "studies",
    _metadata,
    sa.Column("key", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("study", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("root", sa.LargeBinary),
    sa.Column("last_used", sa.Float, nullable=False),
    sa.Column("pinned", sa.Boolean, nullable=False),
    sa.Column("promised_until", sa.Float, nullable=False, server_default="0"),
)
_chunks = sa.Table(
    "chunks",
    _metadata,
    sa.Column("study", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("id", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)
_segments = sa.Table(
    "segments",
    _metadata,
    sa.Column("study", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("id", sa.LargeBinary, primary_key=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)


@define(eq=False)
class Record:
    """What is known of a study without opening it; shared by the store and the study's journal."""

    key: int
    study: StudyId
    version: int = 0
    root: bytes | None = None
    last_used: float = 0.0
    pinned: bool = False
    chunks: int = 0
    bytes: int = 0
    dropped: bool = False

    @property
    def held(self) -> bool:
        """Whether anything is stored of it."""
        return self.chunks > 0 or self.root is not None


@define
class Changes:
    """What one commit does to one study."""

    record: Record
    chunks: dict[int, Extent] = field(factory=dict)
    lost: set[int] = field(factory=set)
    segments: dict[ChunkId, bytes] = field(factory=dict)
    unlisted: set[ChunkId] = field(factory=set)


@frozen
class Contents:
    """The rows of one study."""

    chunks: list[tuple[int, Extent]]
    segments: dict[ChunkId, bytes]


class ChunkIndex:
    """The database."""

    def __init__(self, path: Path) -> None:
        """Open it, or make it.

        Raises:
            CorruptStoreError: not a database, or of a later version.
            DiskFullError: no room to make it.
        """
        # Exclusive: the folder's lock makes us the only user.
        self._file = SqliteFile(path, "remove the store; it will refill", exclusive=True)
        with self._file.writing() as connection:
            version = connection.exec_driver_sql("PRAGMA user_version").scalar()
            if version not in range(_SCHEMA_VERSION + 1):
                raise CorruptStoreError("the store is of a later version: update p2pacs")
            if version == 1:
                connection.exec_driver_sql(
                    "ALTER TABLE studies ADD COLUMN promised_until FLOAT NOT NULL DEFAULT 0"
                )
            _metadata.create_all(connection)
            if version != _SCHEMA_VERSION:  # a full disk is no reason not to open
                connection.exec_driver_sql(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    def close(self) -> None:
        """Close the database."""
        self._file.close()

    def records(self) -> list[Record]:
        """All studies."""
        held = sa.func.count(_chunks.c.number).label("held")
        size = sa.func.coalesce(sa.func.sum(_chunks.c.size), 0).label("size")
        query = (
            sa.select(_studies, held, size)
            .select_from(_studies.outerjoin(_chunks, _chunks.c.study == _studies.c.key))
            .group_by(_studies.c.key)
        )
        with self._file.reading() as connection:
            rows = connection.execute(query).all()
        return [
            Record(
                row.key,
                StudyId(row.study),
                row.version,
                row.root,
                row.last_used,
                row.pinned,
                row.held,
                row.size,
            )
            for row in rows
        ]

    def contents(self, key: int) -> Contents:
        """Chunks and segments of one study."""
        with self._file.reading() as connection:
            chunks = connection.execute(
                sa.select(_chunks.c.number, _chunks.c.offset, _chunks.c.size, _chunks.c.id).where(
                    _chunks.c.study == key
                )
            ).all()
            segments = connection.execute(
                sa.select(_segments.c.id, _segments.c.data).where(_segments.c.study == key)
            ).all()
        return Contents(
            [(number, Extent(offset, size, ChunkId(raw))) for number, offset, size, raw in chunks],
            {ChunkId(raw): data for raw, data in segments},
        )

    def apply(self, changes: Iterable[Changes]) -> None:
        """Commit all of this, or nothing.

        Raises:
            DiskFullError: no room; nothing has changed.
            LocalError: the disk fails otherwise.
        """
        with self._file.writing() as connection:
            for change in changes:
                _apply(connection, change)

    def remove(self, key: int) -> None:
        """Forget a study."""
        with self._file.writing() as connection:
            for table in (_chunks, _segments):
                connection.execute(sa.delete(table).where(table.c.study == key))
            connection.execute(sa.delete(_studies).where(_studies.c.key == key))


def _apply(connection: sa.Connection, change: Changes) -> None:
    record = change.record
    _put(
        connection,
        _studies,
        [
            {
                "key": record.key,
                "study": bytes(record.study),
                "version": record.version,
                "root": record.root,
                "last_used": record.last_used,
                "pinned": record.pinned,
            }
        ],
    )
    rows = [
        {
            "study": record.key,
            "number": number,
            "offset": extent.offset,
            "size": extent.size,
            "id": bytes(extent.id),
        }
        for number, extent in change.chunks.items()
    ]
    _put(connection, _chunks, rows)
    _delete(connection, _chunks.c.study, _chunks.c.number, record.key, change.lost)
    segments = change.segments.items()
    _put(
        connection,
        _segments,
        [{"study": record.key, "id": bytes(each), "data": data} for each, data in segments],
    )
    unlisted = map(bytes, change.unlisted)
    _delete(connection, _segments.c.study, _segments.c.id, record.key, unlisted)


def _put(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(sa.insert(table).prefix_with("OR REPLACE"), rows)


def _delete(
    connection: sa.Connection,
    study: sa.Column[Any],
    column: sa.Column[Any],
    key: int,
    values: Iterable[Any],
) -> None:
    rows = [{"_value": value} for value in values]
    if rows:
        gone = sa.delete(study.table).where(study == key, column == sa.bindparam("_value"))
        connection.execute(gone, rows)
