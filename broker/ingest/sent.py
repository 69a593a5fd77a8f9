"""Which studies members send, and how far they are: functions on a transaction."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen
from sqlalchemy import Connection, Row, delete, select, update

from broker.database.db import now
from broker.database.schema import sent
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.sql.portable import insert_missing
from p2pacs.swarm.scheduling.priority import Priority


@frozen
class SentStudy:
    """A study that a member made and sends."""

    study: StudyId
    uid: str = field(repr=False)
    member: VirtualAddress
    sending: bool
    """Whether the member publishes it now; else the broker does."""
    version: int
    """Newest that the member reported."""
    complete: bool
    """Whether nothing more had come when it did."""
    stored: int
    """Newest of which the PACS has every instance."""
    adopted: bool = False
    """Whether the broker finishes it without the member, which is gone."""
    began: int = 0
    """When the member first asked to send it: milliseconds since 1970."""
    cancelled: int | None = None
    """When the member said that it sends no more of it: milliseconds since 1970; None: it did
    not."""
    instances: int = 0
    """How many the member had then ..."""
    came: int | None = None
    """... and how many of them are in the PACS; None as long as that is not known."""
    priority: Priority = Priority.INTERACTIVE
    """How urgently the broker fetches it, as its sender said."""


def find_sent(connection: Connection, study: StudyId) -> SentStudy | None:
    """A study that some member sends or sent; None: it came from the PACS, or is not known."""
    row = connection.execute(select(sent).where(sent.c.study == study.raw)).one_or_none()
    return None if row is None else _sent(row)


def list_sending(connection: Connection) -> list[SentStudy]:
    """The studies that members publish now."""
    query = select(sent).where(sent.c.sending.is_(True)).order_by(sent.c.began)
    return [_sent(row) for row in connection.execute(query)]


def list_cancelled(connection: Connection) -> list[SentStudy]:
    """Those that were cancelled, and of which it is not known how much the PACS has."""
    query = select(sent).where(sent.c.cancelled.is_not(None), sent.c.came.is_(None))
    return [_sent(row) for row in connection.execute(query)]


def begin_sending(connection: Connection, study: StudyId, uid: str, member: VirtualAddress) -> bool:
    """From now on the member publishes this study; whether it did not before. What the PACS has of
    it is seen anew: somebody may have deleted it there."""
    known = find_sent(connection, study)
    row = {
        "study": study.raw,
        "uid": uid,
        "member": member.raw,
        "began": now(),
        "sending": True,
        "version": 0,
        "complete": False,
        "stored": 0,
    }
    if known is None:
        return insert_missing(connection, sent, row)
    _set(connection, study, sending=True, complete=False, stored=0, cancelled=None, came=None)
    return not known.sending


def cancel_sending(connection: Connection, study: StudyId, instances: int) -> None:
    """The member sends no more of a study, of which so many instances had come to it."""
    _set(connection, study, sending=False, cancelled=now(), instances=instances, came=None)


def note_came(connection: Connection, study: StudyId, count: int) -> bool:
    """So many instances of a study that was cancelled are in the PACS; whether it still is."""
    which = (sent.c.study == study.raw, sent.c.cancelled.is_not(None))
    return connection.execute(update(sent).where(*which).values(came=count)).rowcount > 0


def note_priority(connection: Connection, study: StudyId, priority: Priority) -> None:
    """The member said how urgent a study is."""
    _set(connection, study, priority=int(priority))


def note_version(connection: Connection, study: StudyId, version: int, *, complete: bool) -> None:
    """The member reported a version."""
    _set(connection, study, version=version, complete=complete)


def note_stored(connection: Connection, study: StudyId, version: int) -> bool:
    """The PACS has every instance of a version. If it is the last one, the broker publishes the
    study from now on, as it does with all that the PACS has; whether it is so."""
    known = find_sent(connection, study)
    if known is None:
        return False
    is_last = known.complete and version >= known.version and known.cancelled is None
    _set(connection, study, stored=version, sending=known.sending and not is_last)
    return is_last


def adopt_studies(connection: Connection, member: VirtualAddress) -> int:
    """The broker finishes what this member sends, without it; how many studies that are."""
    theirs = (sent.c.member == member.raw, sent.c.sending.is_(True), sent.c.adopted.is_(False))
    return connection.execute(update(sent).where(*theirs).values(adopted=True)).rowcount


def forget_sent(connection: Connection, study: StudyId) -> bool:
    """From now on it is a study of the PACS like any other, whoever sent it; whether it was not
    before."""
    return connection.execute(delete(sent).where(sent.c.study == study.raw)).rowcount > 0


def _set(connection: Connection, study: StudyId, **values: object) -> None:
    connection.execute(update(sent).where(sent.c.study == study.raw).values(**values))


def _sent(row: Row[Any]) -> SentStudy:
    return SentStudy(
        StudyId(bytes(row.study)),
        row.uid,
        VirtualAddress(bytes(row.member)),
        row.sending,
        row.version,
        row.complete,
        row.stored,
        row.adopted,
        row.began,
        row.cancelled,
        row.instances,
        row.came,
        Priority(row.priority),
    )
