"""The index of the spool: which instances lie there, and how far their studies are."""

from __future__ import annotations

import json
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
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.schema import CreateColumn

from p2pacs.errors import StateError
from p2pacs.sql.portable import insert_missing

SCHEMA: Final = 3
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
    Column("number", Integer, nullable=False, server_default="0"),
    Column("newest", Integer, nullable=False, server_default="0"),
    Column("instances", Integer, nullable=False, server_default="0"),
    Column("bytes", Integer, nullable=False, server_default="0"),
    Column("beside", Integer, nullable=False, server_default="0"),
    Column("spooled", Integer, nullable=False, server_default="0"),
    Column("callers", String, nullable=False, server_default="[]"),
    Column("began", Integer, nullable=False, server_default="0"),
    Column("latest", Integer, nullable=False, server_default="0"),
    Column("cancelled", String),
    Column("mixed", Boolean, nullable=False, server_default="0"),
)
"""``study`` is the id that the broker gave, ``version`` the newest that was published here.
``published`` and ``safe`` are numbers of instances: all up to the one are published, all up to the
other are elsewhere, too. ``refused`` says why the broker lets nothing of it be published,
``cancelled`` who here wants nothing more of it published.
``mixed``: instances of it name different patients.

``number`` is what people call it, in the order in which they began. From ``newest`` to ``latest``
it is what `instances` says of the study, counted as they come: number of the last one that is
published; how many these are, and their bytes; how many are beside; bytes of all that have a file;
who they came from (JSON); when the first one and the last one came."""

cancellations: Final = Table(
    "cancellations",
    metadata,
    Column("uid", String, primary_key=True),
    Column("count", Integer, nullable=False),
)
"""Studies of which the broker is to be told that nothing more of them is sent, and how many
instances had come: also of those that were removed since."""

study_numbers: Final = Table(
    "study_numbers",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    sqlite_autoincrement=True,
)
"""Empty: SQLite counts here what studies are called, so that no number is given twice."""

_SINCE_2: Final = (
    "number", "newest", "instances", "bytes", "beside", "spooled", "callers", "began", "latest",
    "cancelled", "mixed",
)  # fmt: skip


def prepare(connection: Connection) -> None:
    """Make the tables, or bring those of an older version up to this one.

    Raises:
        StateError: a file of a newer p2pacs.
    """
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version not in range(SCHEMA + 1):
        raise StateError(
            f"the spool has format {version}, this p2pacs knows {SCHEMA}: use the newer p2pacs"
        )
    metadata.create_all(connection)
    if version == 1:
        for name in _SINCE_2:
            made = CreateColumn(studies.c[name]).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE studies ADD COLUMN {made}")
        began = func.min(instances.c.number)
        query = select(instances.c.study_uid).group_by(instances.c.study_uid).order_by(began)
        for uid in connection.execute(query).scalars().all():
            insert_missing(connection, studies, NOTHING | {"uid": uid})
            recount(connection, uid)
    if version in (1, 2):  # cancelled before the broker could be told
        known = select(studies.c.uid, studies.c.instances).where(studies.c.cancelled.is_not(None))
        columns = [cancellations.c.uid, cancellations.c.count]
        connection.execute(insert(cancellations).from_select(columns, known))
    if version != SCHEMA:
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA}")


NOTHING: Final = {"version": 0, "published": 0, "safe": 0}
"""Of a study, beside its ``uid``: nothing of it was published."""


def recount(connection: Connection, uid: str) -> None:
    """Count anew what there is of a study, which has a row."""
    counted, of_study = ~instances.c.beside, instances.c.study_uid == uid
    has_file = instances.c.file.is_not(None)
    columns = (
        func.max(instances.c.number).filter(counted).label("newest"),
        func.count().filter(counted).label("instances"),
        func.sum(instances.c.size).filter(counted).label("bytes"),
        func.count().filter(instances.c.beside).label("beside"),
        func.sum(instances.c.size).filter(has_file).label("spooled"),
        func.min(instances.c.came).label("began"),
        func.max(instances.c.came).label("latest"),
    )
    row = connection.execute(select(*columns).where(of_study)).one()
    callers = select(instances.c.caller).where(of_study).distinct()
    values = {name: value or 0 for name, value in row._asdict().items()}
    known = select(studies.c.number).where(studies.c.uid == uid)
    values["number"] = connection.execute(known).scalar() or _next_number(connection)
    values["callers"] = json.dumps(sorted(connection.execute(callers).scalars()))
    connection.execute(update(studies).where(studies.c.uid == uid).values(values))


def _next_number(connection: Connection) -> int:
    made = connection.execute(insert(study_numbers)).inserted_primary_key
    connection.execute(delete(study_numbers))
    return int(made[0]) if made else 0


def count_in(
    connection: Connection,
    uid: str,
    number: int,
    *,
    size: int,
    caller: str,
    came: int,
    beside: bool,
    again: bool,
) -> None:
    """Count in an instance that was entered; whether again, as one that was safe was taken out."""
    insert_missing(connection, studies, NOTHING | {"uid": uid})
    row = connection.execute(select(studies).where(studies.c.uid == uid)).one()
    values = {
        "number": row.number or _next_number(connection),
        "began": row.began or came,
        "latest": came,
        "spooled": row.spooled + size,
        "callers": json.dumps(sorted({*json.loads(row.callers), caller})),
    }
    if beside:
        values["beside"] = row.beside + 1
    else:
        values |= {
            "newest": number,
            "instances": row.instances + (not again),
            "bytes": row.bytes + size * (not again),
        }
    connection.execute(update(studies).where(studies.c.uid == uid).values(values))
    if again and beside:  # what was taken out was counted, and nothing is in its place
        recount(connection, uid)
