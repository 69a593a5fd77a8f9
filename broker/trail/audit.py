"""The audit trail: who did what, with which study, when, and how it ended. Append-only."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from attrs import field, frozen
from sqlalchemy import ColumnElement, Connection, Row, insert, or_, select

from broker.database.db import now
from broker.database.schema import audit, members
from p2pacs.errors import NotFoundError, StudyNotFoundError, UsageError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import TEXT
from p2pacs.phrases import Phrase
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.texts import clean

DONE: Final = "done"
REFUSED: Final = "refused"
FAILED: Final = "failed"
INTERRUPTED: Final = "interrupted"
ADDRESSED: Final = "study addressed"
ADDRESS_ENDED: Final = "address of a study ended"
"""What is done of recipients of studies."""
MOST: Final = 1000
"""Entries in one answer."""


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


def address_detail(name: str, priority: Priority = Priority.INTERACTIVE) -> str:
    """To whom a study is addressed; also how urgently, where it is not as usual."""
    usual = priority is Priority.INTERACTIVE
    return f"to {name}" if usual else f"to {name}, {priority.name.lower()}"


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
