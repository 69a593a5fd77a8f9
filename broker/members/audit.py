"""The audit trail: who did what, with which study, when, and how it ended. Append-only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgpack
from attrs import field, frozen
from sqlalchemy import Connection, Row, insert, select

from broker.database.db import now
from broker.database.schema import audit
from broker.members.registry import Member
from p2pacs.errors import MalformedMessageError, UsageError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import TEXT
from p2pacs.texts import clean

DONE: Final = "done"
REFUSED: Final = "refused"
FAILED: Final = "failed"

MOST: Final = 1000
"""Entries in one answer."""

_RECORDS: Final = 1000
"""Records in one report of a member."""


@frozen
class Entry:
    """One line of the trail."""

    what: str
    """For example ``study read``, ``study granted``, ``member revoked``, ``sign-in``."""
    actor: str
    """A member's name, an administrator's, or ``-`` for somebody unknown."""
    address: VirtualAddress | None = None
    study: StudyId | None = None
    uid: str | None = field(default=None, repr=False)
    detail: str = ""
    outcome: str = DONE
    time: int = field(factory=now)
    """Milliseconds since 1970 (UTC)."""

    @property
    def when(self) -> str:
        """The time as ISO 8601, to the second (UTC)."""
        return utc(self.time)


def utc(time: int) -> str:
    """Milliseconds since 1970 as ISO 8601, to the second (UTC)."""
    moment = datetime.fromtimestamp(time / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def record(connection: Connection, *entries: Entry) -> None:
    """Write to the trail, in the transaction of what it tells of."""
    rows = [
        {
            "time": entry.time,
            "address": entry.address and entry.address.raw,
            "actor": entry.actor,
            "what": entry.what,
            "study": entry.study and entry.study.raw,
            "uid": entry.uid,
            "detail": entry.detail[:TEXT],
            "outcome": entry.outcome,
        }
        for entry in entries
    ]
    if rows:
        connection.execute(insert(audit), rows)


def read(
    connection: Connection, *, uid: str = "", member: str = "", most: int = MOST
) -> list[Entry]:
    """The newest entries, newest first, their texts cleaned: what members say is shown to people.

    Args:
        connection: a transaction.
        uid: only those of this study (Study Instance UID).
        member: only those of this member, by name or virtual address.
        most: at most so many.
    """
    query = select(audit).order_by(audit.c.id.desc()).limit(most)
    if uid:
        query = query.where(audit.c.uid == uid)
    if member:
        query = query.where(_by(member))
    return [_entry(row) for row in connection.execute(query)]


def _by(member: str) -> Any:
    try:
        return audit.c.address == VirtualAddress.parse(member).raw
    except UsageError:
        return audit.c.actor == member


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        what=row.what,
        actor=clean(row.actor),
        address=None if row.address is None else VirtualAddress(row.address),
        study=None if row.study is None else StudyId(row.study),
        uid=None if row.uid is None else clean(row.uid),
        detail=clean(row.detail),
        outcome=row.outcome,
        time=row.time,
    )


def of_report(records: list[bytes], member: Member) -> list[Entry]:
    """What a member's gateway says was read there (`AuditReport`), without the studies' UIDs.

    Raises:
        MalformedMessageError: too many records, or one that is none.
    """
    if len(records) > _RECORDS:
        raise MalformedMessageError(f"an audit report has at most {_RECORDS} records")
    return [_reported(raw, member) for raw in records]


def _reported(raw: bytes, member: Member) -> Entry:
    try:
        fields = msgpack.unpackb(raw, max_map_len=8, max_array_len=0, max_ext_len=0)
        caller, purpose, time = fields["caller"], fields["purpose"], int(fields["time"])
        utc(time)
        return Entry(
            what="study read",
            actor=member.name,
            address=member.address,
            study=StudyId(fields["study"]),
            detail=f"{purpose!s} by {caller!s}"[:TEXT],
            time=time,
        )
    except (ValueError, TypeError, KeyError, OverflowError, OSError, UsageError) as error:
        raise MalformedMessageError("not an audit record: study, caller, purpose, time") from error
    except msgpack.UnpackException as error:
        raise MalformedMessageError("not an audit record: not msgpack") from error


def as_json(entry: Entry) -> dict[str, str | None]:
    """An entry for ``--json``."""
    return {
        "when": entry.when,
        "actor": entry.actor,
        "address": None if entry.address is None else str(entry.address),
        "what": entry.what,
        "study": None if entry.study is None else str(entry.study),
        "study_instance_uid": entry.uid,
        "detail": entry.detail,
        "outcome": entry.outcome,
    }
