"""What the database knows of studies: published versions, and when they were last asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen
from sqlalchemy import Connection, func, select

from broker.database.schema import audit, grants, studies
from p2pacs.ids import StudyId

ASKED: Final = ("study granted", "study read", "study replicated blindly")
"""Entries of the trail that tell of somebody who wanted a study."""


@frozen
class StudyFacts:
    """What is known of one."""

    version: int = 0
    """Newest published version; 0 while there is none."""
    complete: bool = False
    """Whether that is all that the PACS has."""
    published: int | None = None
    """When it came out: milliseconds since 1970."""
    asked: int | None = None
    """When it was last granted, refused or read, likewise."""
    entrusted: int = 0
    """Members that were given its key."""


def facts_of(connection: Connection, wanted: Sequence[StudyId]) -> Mapping[StudyId, StudyFacts]:
    """The facts of these studies; all of them are there.

    Args:
        connection: a transaction.
        wanted: a page of them.
    """
    raw = [study.raw for study in wanted]
    query = select(studies).where(studies.c.study.in_(raw))
    known = {bytes(row.study): row for row in connection.execute(query)}
    latest = select(audit.c.study, func.max(audit.c.time).label("time"))
    # Without the index of what was done: of a study there are few entries, of these a million.
    asked_for = audit.c.what.concat("").in_(ASKED)
    latest = latest.where(audit.c.study.in_(raw), asked_for).group_by(audit.c.study)
    asked = {bytes(row.study): row.time for row in connection.execute(latest)}
    given = select(grants.c.study, func.count().label("members")).where(grants.c.study.in_(raw))
    keys = {
        bytes(row.study): row.members for row in connection.execute(given.group_by(grants.c.study))
    }
    found = {}
    for study in wanted:
        row = known.get(study.raw)
        found[study] = StudyFacts(
            version=row.version if row else 0,
            complete=bool(row.complete) if row else False,
            published=row.published if row else None,
            asked=asked.get(study.raw),
            entrusted=keys.get(study.raw, 0),
        )
    return found
