"""What studies were before they changed: who could have known them is told that they are gone.

A follower of the feed that may not read a study (any more) is told so only if it could have seen
an earlier record of it: else the ids of studies that it may never know, and when they change,
would reach it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, func, insert, select

from p2pacs.catalogue import schema
from p2pacs.catalogue.feed import FeedEntry, decode_entry
from p2pacs.catalogue.records import StudyRecord
from p2pacs.ids import StudyId

MOST: Final = 16
"""Earlier records of a study that are kept; one that changed more often may have been anything."""


def remember(connection: Connection, entry: FeedEntry) -> None:
    """Keep what a study is now, before this replaces it; what no rule looks at makes no change."""
    table, study = schema.former, bytes(entry.study)
    query = select(schema.studies.c.record).where(schema.studies.c.study == study)
    raw = connection.execute(query).scalar_one_or_none()
    before = None if raw is None else decode_entry(raw, own=True)
    if not isinstance(before, StudyRecord) or _same(before, entry):
        return
    count = select(func.count()).where(table.c.study == study)
    number = int(connection.execute(count).scalar_one())
    if number < MOST:
        connection.execute(insert(table).values(study=study, number=number, record=raw))


def records(connection: Connection, study: StudyId) -> list[StudyRecord] | None:
    """What a study was; None if it changed too often to know."""
    table = schema.former
    query = select(table.c.record).where(table.c.study == bytes(study)).order_by(table.c.number)
    rows = connection.execute(query).scalars().all()
    if len(rows) >= MOST:
        return None
    entries = [decode_entry(raw, own=True) for raw in rows]
    return [entry for entry in entries if isinstance(entry, StudyRecord)]


def _same(before: StudyRecord, entry: FeedEntry) -> bool:
    return isinstance(entry, StudyRecord) and (before.attributes, before.series) == (
        entry.attributes,
        entry.series,
    )
