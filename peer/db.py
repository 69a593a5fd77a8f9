"""What a peer remembers besides chunks and catalogue, in one SQLite file: grants, unsent audit,
what is to be fetched, who may sign in to its pages.

One owner: `open_database` opens the file and closes it; everything else asks
`PeerDatabase.run`, which runs one transaction at a time in a worker thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Final

import trio
from sqlalchemy import Boolean, Column, Connection, Integer, LargeBinary, MetaData, Table, Text

from p2pacs.accounts.tables import metadata as accounts
from p2pacs.concurrency.until_possible import until_possible
from p2pacs.errors import StateError
from p2pacs.sql.sqlite import TUNING, SqliteFile, SqliteTuning

SCHEMA: Final = 1
"""``PRAGMA user_version`` of the file. Tables that were not there are made when it is opened."""

metadata = MetaData()

grants = Table(
    "grants",
    metadata,
    Column("study", LargeBinary, primary_key=True),
    Column("wrapped_key", LargeBinary, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("record", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

replications = Table(
    "replications",
    metadata,
    Column("study", LargeBinary, primary_key=True),
)

fetches = Table(
    "fetches",
    metadata,
    Column("study", LargeBinary, primary_key=True),
    Column("caller", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("detail", Text),
    Column("priority", Integer, nullable=False),
    Column("asked", Integer, nullable=False),
)

paused = Table(
    "paused",
    metadata,
    Column("study", LargeBinary, primary_key=True),
)
"""Of `fetches`, those that somebody paused."""

ordered = Table(
    "ordered",
    metadata,
    Column("study", LargeBinary, primary_key=True),
    Column("version", Integer, nullable=False),
)
"""Of `fetches`, those that the broker ordered, as they are addressed to this member: at least this
version is to come."""

sent_here = Table(
    "sent_here",
    metadata,
    Column("study", LargeBinary, primary_key=True),
    Column("sender", LargeBinary, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("addressed", Integer, nullable=False, index=True),
    Column("read", Integer),
)
"""Studies that are addressed to this member (`peer.retrieval.sent_here`): by whom, when, and when
somebody here read it first (milliseconds since 1970)."""

trail = Table(
    "trail",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("time", Integer, nullable=False),
    Column("actor", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("refused", Boolean, nullable=False),
    sqlite_autoincrement=True,
)
"""What was done about accounts (`peer.accounts.trail`)."""

commitments = Table(
    "commitments",
    metadata,
    Column("caller", Text, primary_key=True),
    Column("uid", Text, primary_key=True),
    Column("asked", Integer, nullable=False),
    Column("instances", LargeBinary, nullable=False),
)
"""Requests for Storage Commitment that wait (`peer.commitment.requests`): the AE title of who asks,
Transaction UID, milliseconds since 1970, and SOP Class and Instance UIDs as JSON."""

commitment_states = Table(
    "commitment_states",
    metadata,
    Column("study", Text, primary_key=True),
    Column("caller", Text, primary_key=True),
    Column("asked", Integer, nullable=False, index=True),
    Column("answered", Integer),
    Column("safe", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("waiting", Integer, nullable=False),
)
"""How the last request of an AE title for a study stands (`peer.commitment.states`): Study Instance
UID, milliseconds since 1970, instances."""

for _table in accounts.sorted_tables:
    _table.to_metadata(metadata)


store_use = Table(
    "store_use",
    metadata,
    Column("time", Integer, primary_key=True),
    Column("used", Integer, nullable=False),
)
"""How full the store was: seconds since 1970, bytes."""


class PeerDatabase(SqliteFile):
    """The open file; see `open_database`."""

    def __init__(self, path: Path, tuning: SqliteTuning = TUNING) -> None:
        remedy = "move it away and start again; keys are granted anew by the broker"
        super().__init__(path, remedy, tuning=tuning)


def _create(connection: Connection) -> None:
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version not in (0, SCHEMA):
        raise StateError(
            f"peer.db has format {version}, this p2pacs knows {SCHEMA}: use the newer p2pacs"
        )
    metadata.create_all(connection)
    if version != SCHEMA:  # a full disk is no reason not to open
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA}")


def connect(path: Path) -> PeerDatabase:
    """Open the file for a command, whether the peer runs or not; the caller closes it.

    Raises:
        StateError: a file of a newer p2pacs.
    """
    with ExitStack() as stack:
        database = stack.enter_context(closing(PeerDatabase(path)))
        database.transact(_create)
        stack.pop_all()  # it is the caller's now
    return database


@asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[PeerDatabase]:
    """Open the file, made if it is missing (mode 0600), and close it at the end.

    Raises:
        StateError: a file of a newer p2pacs.
    """
    open_file = partial(trio.to_thread.run_sync, PeerDatabase, path)
    database = await until_possible(open_file, path.name)
    try:
        await database.persist(_create)
        yield database
    finally:
        database.close()
