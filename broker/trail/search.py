"""Searching the audit trail: by time, member, person, action, study and outcome, page by page.

A page costs the same in a trail of a million entries as in a small one: the condition that narrows
most is looked up in its index, in the order of time, and the others are tried entry by entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Self

from attrs import field, frozen
from sqlalchemy import ColumnElement, Connection, Row, and_, literal, or_, select

from broker.database.schema import audit
from broker.trail.audit import DONE, Entry, entries_of, to_entry
from p2pacs.errors import UsageError
from p2pacs.ids import StudyId
from p2pacs.phrases import Phrase

PAGE: Final = 100
"""Entries on a page."""


@frozen
class TrailSearch:
    """What somebody looks for; what is empty is no condition."""

    since: int | None = None
    """Milliseconds since 1970 (UTC)."""
    until: int | None = None
    """Likewise; entries of this moment are not found any more."""
    member: str = ""
    """What it did or was done to it: by name or virtual address."""
    person: str = field(default="", repr=False)
    """Who did it: an administrator, a person at a hospital, or a workstation."""
    what: str = ""
    uid: str = field(default="", repr=False)
    """Study Instance UID."""
    study: StudyId | None = None
    outcome: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether all entries are found."""
        return self == type(self)()


@frozen
class TrailPlace:
    """A place in the trail: after this entry, in the order in which they are shown."""

    time: int
    id: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """The place that `str` gave.

        Raises:
            UsageError: it is none.
        """
        time, dash, number = text.partition("-")
        parts = (time, number)
        if not dash or not all(one.isascii() and one.isdigit() and len(one) < 19 for one in parts):
            raise UsageError(
                Phrase("this is no place in the audit trail: begin at its newest page")
            )
        return cls(int(time), int(number))

    def __str__(self) -> str:
        return f"{self.time}-{self.id}"


@frozen
class TrailPage:
    """A page of what was found, newest first."""

    entries: list[Entry]
    next: TrailPlace | None
    """Where the next page begins; None: this is the last one."""


def read_trail(
    connection: Connection,
    search: TrailSearch,
    after: TrailPlace | None = None,
    *,
    most: int = PAGE,
) -> TrailPage:
    """A page of the trail.

    Args:
        connection: a transaction.
        search: what is looked for.
        after: the place at which the page before ended; None: the newest.
        most: at most so many entries.

    Raises:
        NotFoundError: nobody of this name is in the trail.
    """
    first, others = _conditions(connection, search)
    within = [*_times(search, after), *others]
    found: dict[int, Row[Any]] = {}
    for condition in first:
        query = select(audit).where(condition, *within)
        query = query.order_by(audit.c.time.desc(), audit.c.id.desc()).limit(most + 1)
        found |= {row.id: row for row in connection.execute(query)}
    rows = sorted(found.values(), key=lambda row: (row.time, row.id), reverse=True)
    last = rows[most - 1] if len(rows) > most else None
    place = None if last is None else TrailPlace(last.time, last.id)
    return TrailPage([to_entry(row) for row in rows[:most]], place)


def _conditions(
    connection: Connection, search: TrailSearch
) -> tuple[list[ColumnElement[bool]], list[ColumnElement[bool]]]:
    """Alternatives that are looked up, each in its index, and what else must be met."""
    outcome: list[list[ColumnElement[bool]]] = []
    if search.outcome:
        outcome.append([audit.c.outcome == search.outcome])
    is_rare = search.outcome != DONE
    wanted: list[list[ColumnElement[bool]]] = []
    if search.study is not None:
        wanted.append([audit.c.study == search.study.raw])
    if search.uid:
        wanted.append([audit.c.uid == search.uid])
    if search.person:
        wanted.append([audit.c.person == search.person])
    wanted += outcome if is_rare else []
    if search.member:
        wanted.append(entries_of(connection, search.member))
    if search.what:
        wanted.append([audit.c.what == search.what])
    wanted += [] if is_rare else outcome
    first, *others = wanted or [[literal(value=True)]]
    return first, [_tried(alternatives) for alternatives in others]


def _tried(alternatives: Iterable[ColumnElement[bool]]) -> ColumnElement[bool]:
    """The same without the help of an index: databases do not know here that of ``done`` there are
    a million, and of a person's entries ten."""
    return or_(*((one.self_group() == literal(value=True)) for one in alternatives))


def _times(search: TrailSearch, after: TrailPlace | None) -> list[ColumnElement[bool]]:
    within: list[ColumnElement[bool]] = []
    if search.since is not None:
        within.append(audit.c.time >= search.since)
    if search.until is not None:
        within.append(audit.c.time < search.until)
    if after is not None:
        same = and_(audit.c.time == after.time, audit.c.id < after.id)
        within += [audit.c.time <= after.time, or_(audit.c.time < after.time, same)]
    return within
