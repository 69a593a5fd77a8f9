"""How far single instances are that came into the spool: a function on a transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from attrs import field, frozen
from sqlalchemy import Column, Connection, Row, select

from p2pacs.ids import StudyId
from peer.spool.tables import instances, studies

_AT_ONCE: Final = 500
"""UIDs in one question: SQLite takes no more than 999 values in an older version."""


@frozen
class InstanceProgress:
    """An instance that came here once; its file may be gone since."""

    uid: str = field(repr=False)
    sop_class: str
    study_uid: str = field(repr=False)
    study: StudyId | None
    """None while no broker has given an id."""
    is_beside: bool
    """Whether it came under the UID of another one, and is not published."""
    is_safe: bool
    """Whether the central PACS has it."""
    version: int
    """Newest version of its study that has it; 0 if it is in none yet."""
    is_refused: bool
    """Whether nothing of its study may be published."""


def find_progress(connection: Connection, uids: Collection[str]) -> Iterator[InstanceProgress]:
    """All that came under these SOP Instance UIDs, in the order in which it came."""
    columns: tuple[Column[Any], ...] = (
        instances.c.uid,
        instances.c.sop_class,
        instances.c.study_uid,
        instances.c.number,
        instances.c.beside,
        studies.c.study,
        studies.c.version,
        studies.c.published,
        studies.c.safe,
        studies.c.refused,
    )
    joined = instances.outerjoin(studies, studies.c.uid == instances.c.study_uid)
    query = select(*columns).select_from(joined).order_by(instances.c.number)
    listed = list(uids)
    for at in range(0, len(listed), _AT_ONCE):
        some = listed[at : at + _AT_ONCE]
        for row in connection.execute(query.where(instances.c.uid.in_(some))):
            yield _progress(row)


def _progress(row: Row[Any]) -> InstanceProgress:
    is_published = row.published is not None and row.number <= row.published
    return InstanceProgress(
        uid=row.uid,
        sop_class=row.sop_class,
        study_uid=row.study_uid,
        study=None if row.study is None else StudyId(row.study),
        is_beside=row.beside,
        is_safe=row.safe is not None and not row.beside and row.number <= row.safe,
        version=row.version if is_published and not row.beside else 0,
        is_refused=row.refused is not None,
    )
