"""The audit trail: who did what, with which study, when, and how it ended. Append-only."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import msgpack
from attrs import evolve, field, frozen
from sqlalchemy import ColumnElement, Connection, Row, insert, literal, or_, select

from broker.config import DAY
from broker.database.db import now
from broker.database.schema import audit, members, studies
from broker.members.registry import Member
from p2pacs.errors import MalformedMessageError, NotFoundError, StudyNotFoundError, UsageError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import AUDIT_RECORDS, TEXT
from p2pacs.phrases import Phrase
from p2pacs.texts import clean

DONE: Final = "done"
REFUSED: Final = "refused"
FAILED: Final = "failed"
INTERRUPTED: Final = "interrupted"
READ_OUTCOMES: Final = frozenset({DONE, FAILED, INTERRUPTED})
"""What a member's gateway may say of a read."""

COMMAND: Final = "command"
"""Caller and purpose of a read by ``p2pacs get`` (peer/retrieval/requester.py)."""

MOST: Final = 1000
"""Entries in one answer."""

CLOCKS_DIFFER: Final = DAY * 1000
"""Milliseconds by which a member's clock may be wrong before its times are not believed."""


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
    about: VirtualAddress | None = None
    """The member that it was done to."""
    time: int = field(factory=now)
    """Milliseconds since 1970 (UTC)."""
    person: str = field(default="", eq=False)
    """Who read, where a member reports it; of an administrator's entry it is the actor."""

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
            "about": entry.about and entry.about.raw,
            "person": _person(entry),
        }
        for entry in entries
    ]
    if rows:
        connection.execute(insert(audit), rows)


def _person(entry: Entry) -> str | None:
    is_account = entry.address is None and entry.actor != "-"
    return entry.person or (entry.actor if is_account else None)


def read(
    connection: Connection, *, uid: str = "", member: str = "", most: int = MOST
) -> list[Entry]:
    """The newest entries, newest first, their texts cleaned: what members say is shown to people.

    Args:
        connection: a transaction.
        uid: only those of this study (Study Instance UID).
        member: only what this member did or what was done to it, by name or virtual address; or
            what an administrator of this name did.
        most: at most so many.

    Raises:
        NotFoundError: nobody of this name is in the trail.
        StudyNotFoundError: the study is not in the trail.
    """
    query = select(audit).order_by(audit.c.id.desc()).limit(most)
    if uid:
        theirs = audit.c.uid == uid
        if connection.execute(select(audit.c.id).where(theirs).limit(1)).first() is None:
            raise StudyNotFoundError(
                Phrase("no study with this UID is in the audit trail: check the UID")
            )
        query = query.where(theirs)
    if member:
        query = query.where(or_(*entries_of(connection, member.strip())))
    return [to_entry(row) for row in connection.execute(query)]


def entries_of(connection: Connection, name: str) -> list[ColumnElement[bool]]:
    """Conditions of which one is met by whatever a member did or was done to it, or an
    administrator did.

    Args:
        connection: a transaction.
        name: of a member or an administrator, or a virtual address.

    Raises:
        NotFoundError: nobody of this name is in the trail.
    """
    # An actor's name is also that of a member that was called so before, or was deleted.
    theirs: list[ColumnElement[bool]] = [audit.c.actor == name]
    address = None
    with suppress(UsageError):
        address = VirtualAddress.parse(name).raw
    query = select(members.c.address).where(
        (members.c.name == name) | (members.c.address == address)
    )
    known = connection.execute(query).first()
    if known is not None:
        address = known.address
    if address is not None:
        theirs += [audit.c.address == address, audit.c.about == address]
    if (
        known is None
        and connection.execute(select(audit.c.id).where(or_(*theirs)).limit(1)).first() is None
    ):
        raise NotFoundError(
            Phrase("nobody called %(name)s is in the audit trail", name=repr(clean(name)))
        )
    return theirs


def to_entry(row: Row[Any]) -> Entry:
    """A row of the trail, its texts cleaned."""
    return Entry(
        what=row.what,
        actor=clean(row.actor),
        address=None if row.address is None else VirtualAddress(row.address),
        study=None if row.study is None else StudyId(row.study),
        uid=None if row.uid is None else clean(row.uid),
        detail=clean(row.detail),
        outcome=row.outcome,
        about=None if row.about is None else VirtualAddress(row.about),
        time=row.time,
        person=clean(row.person or ""),
    )


@frozen
class Reported:
    """An entry that a member's gateway reported."""

    entry: Entry
    believed: bool
    """Whether its time can be; if not, it has the time at which it came, and its detail says
    what the member's clock said."""


def of_report(records: list[bytes], member: Member) -> list[Reported]:
    """What a member's gateway says was read there (`AuditReport`), without the studies' UIDs.

    A time before the member was registered, or in the future, is not believed.

    Raises:
        MalformedMessageError: too many records, or one that is none.
    """
    if len(records) > AUDIT_RECORDS:
        raise MalformedMessageError(f"an audit report has at most {AUDIT_RECORDS} records")
    at = now()
    return [_reported(raw, member, at) for raw in records]


def keep_reported(
    connection: Connection, address: VirtualAddress, reported: Sequence[Reported]
) -> None:
    """Write what a member reported, each entry once however often it is reported.

    Args:
        connection: a transaction.
        address: the member's.
        reported: from `of_report`.
    """
    times = {one.entry.time for one in reported if one.believed}
    # Their time is that of the first report, so the clock that their detail tells is compared.
    details = {one.entry.detail for one in reported if not one.believed}
    mine = audit.c.address == address.raw
    kept: set[tuple[object, ...]] = set()
    if times:
        query = select(audit.c.study, audit.c.detail, audit.c.time)
        rows = connection.execute(query.where(mine, audit.c.time.in_(times)))
        kept.update(tuple(row) for row in rows)
    if details:
        query = select(audit.c.study, audit.c.detail, literal(None))
        rows = connection.execute(query.where(mine, audit.c.detail.in_(details)))
        kept.update(tuple(row) for row in rows)
    fresh: dict[tuple[object, ...], Entry] = {}
    for one in reported:
        if (identity := _identity(one)) not in kept:
            fresh.setdefault(identity, one.entry)
    record(connection, *_with_uids(connection, list(fresh.values())))


def _identity(reported: Reported) -> tuple[object, ...]:
    entry = reported.entry
    time = entry.time if reported.believed else None
    return entry.study and entry.study.raw, entry.detail, time


def _with_uids(connection: Connection, entries: Sequence[Entry]) -> list[Entry]:
    ids = {entry.study.raw for entry in entries if entry.study is not None}
    if not ids:
        return list(entries)
    query = select(studies.c.study, studies.c.uid).where(studies.c.study.in_(ids))
    uids = {StudyId(study): uid for study, uid in connection.execute(query)}
    return [evolve(one, uid=uids.get(one.study)) if one.study else one for one in entries]


def _reported(raw: bytes, member: Member, at: int) -> Reported:
    try:
        fields = msgpack.unpackb(raw, max_map_len=8, max_array_len=0, max_ext_len=0)
        caller, purpose, time = fields["caller"], fields["purpose"], int(fields["time"])
        believed = member.registered - CLOCKS_DIFFER <= time <= at + CLOCKS_DIFFER
        outcome, counts = _ending(fields)
        said = f" (its clock said {utc(time)}, {time})"
        detail = _who(str(purpose), str(caller))[: TEXT - len(counts) - len(said)] + counts
        entry = Entry(
            what="study read",
            actor=member.name,
            address=member.address,
            study=StudyId(fields["study"]),
            detail=detail if believed else detail + said,
            outcome=outcome,
            time=time if believed else at,
            person="" if caller == COMMAND else str(caller),
        )
        return Reported(entry, believed)
    except (ValueError, TypeError, KeyError, OverflowError, OSError, UsageError) as error:
        raise MalformedMessageError("not an audit record: study, caller, purpose, time") from error
    except msgpack.UnpackException as error:
        raise MalformedMessageError("not an audit record: not msgpack") from error


def _who(purpose: str, caller: str) -> str:
    """Whoever read, and what for: ``C-MOVE to WS1 by VIEWER``, ``by command, stat``."""
    by_command = caller == COMMAND and purpose.partition(",")[0] == COMMAND
    return f"by {purpose}" if by_command else f"{purpose} by {caller}"


def _ending(fields: dict[str, Any]) -> tuple[str, str]:
    """Outcome and counts; a member of an older version does not tell how a read ended.

    Raises:
        KeyError, TypeError, ValueError: it is told otherwise than docs/wire.md says.
    """
    if "outcome" not in fields:
        return DONE, ""
    outcome, sent, total = fields["outcome"], fields["sent"], fields["total"]
    if outcome not in READ_OUTCOMES:
        raise ValueError("no outcome of a read")
    if not all(type(count) is int and 0 <= count < 1 << 32 for count in (sent, total)):
        raise ValueError("no count of instances")
    return outcome, f": {sent} of {total} instances"


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
        "about": None if entry.about is None else str(entry.about),
    }
