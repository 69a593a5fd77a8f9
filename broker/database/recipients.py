"""To which members studies are addressed: functions on a transaction.

An address gives the right to read the study, whatever the member's rule says, until it ends. A
row stays when it ends: whoever could see the study then is told that it is gone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, Row, Select, and_, func, or_, select, update

from broker.database.db import now
from broker.database.schema import recipients, sent, studies
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.sql.portable import upsert
from p2pacs.swarm.scheduling.priority import Priority


@frozen
class Recipient:
    """A member that a study is, or was, addressed to."""

    study: StudyId
    member: VirtualAddress
    sender: VirtualAddress | None
    """Which member addressed it; None: an administrator."""
    actor: str
    """Its name, or the administrator's."""
    priority: Priority
    addressed: int
    ended: int | None
    """When it was addressed, and since when it is not any more: milliseconds since 1970."""
    told: int
    """Newest version that the member was told to fetch, and noted; 0: none."""

    @property
    def is_current(self) -> bool:
        """Whether it is addressed to it now."""
        return self.ended is None


@frozen
class AddressChanges:
    """What became another one by an address."""

    added: frozenset[VirtualAddress] = frozenset()
    ended: frozenset[VirtualAddress] = frozenset()
    urged: frozenset[VirtualAddress] = frozenset()
    """They had it addressed before, with another priority."""

    def __bool__(self) -> bool:
        return bool(self.added or self.ended or self.urged)


@frozen
class DueOrder:
    """A member that is to be told of a version."""

    study: StudyId
    member: VirtualAddress
    version: int
    priority: Priority
    sender: VirtualAddress | None
    """Which member addressed it; None: an administrator."""
    addressed: int
    """When: milliseconds since 1970."""


@frozen
class DueEnd:
    """A member that is to be told not to fetch a study (any more)."""

    study: StudyId
    member: VirtualAddress
    is_cancelled: bool
    """Whether its sender cancelled it; else it is not addressed to the member any more."""


def list_recipients(connection: Connection, study: StudyId) -> list[Recipient]:
    """To whom a study is addressed now, in the order of addresses."""
    query = select(recipients).where(recipients.c.study == study.raw, recipients.c.ended.is_(None))
    return [_recipient(row) for row in connection.execute(query.order_by(recipients.c.member))]


def addressed_by(connection: Connection, study: StudyId, member: VirtualAddress) -> str | None:
    """The name of who addressed a study to a member; None: it is not addressed to it (now)."""
    query = select(recipients.c.actor).where(
        recipients.c.study == study.raw,
        recipients.c.member == member.raw,
        recipients.c.ended.is_(None),
    )
    name: str | None = connection.execute(query).scalar_one_or_none()
    return name


def addressed_among(
    connection: Connection, member: VirtualAddress, some: Collection[StudyId]
) -> Mapping[StudyId, bool]:
    """Which of these studies are (true) or were (false) addressed to a member."""
    query = select(recipients.c.study, recipients.c.ended).where(
        recipients.c.member == member.raw, recipients.c.study.in_([one.raw for one in some])
    )
    return {StudyId(bytes(row.study)): row.ended is None for row in connection.execute(query)}


def address(
    connection: Connection,
    study: StudyId,
    members: Collection[VirtualAddress],
    priority: Priority,
    *,
    sender: VirtualAddress | None,
    actor: str,
) -> AddressChanges:
    """A study is addressed to these members, and to no others that the same sender named before."""
    before = {one.member: one for one in list_recipients(connection, study)}
    own = {one.member for one in before.values() if one.sender == sender}
    added = frozenset(set(members) - before.keys())
    ended = frozenset(own - set(members))
    urged = frozenset(one for one in own & set(members) if before[one].priority is not priority)
    for member in added:
        _add(connection, study, member, priority, sender=sender, actor=actor)
    for member in urged:
        _set(connection, study, member, priority=int(priority), told=0)
    for member in ended:
        _set(connection, study, member, ended=now(), stop=True)
    return AddressChanges(added, ended, urged)


def add_recipient(
    connection: Connection,
    study: StudyId,
    member: VirtualAddress,
    priority: Priority,
    *,
    actor: str,
) -> None:
    """An administrator addresses a study to a member, too; who addressed it before does no more."""
    _add(connection, study, member, priority, sender=None, actor=actor)


def end_recipient(connection: Connection, study: StudyId, member: VirtualAddress) -> bool:
    """A study is not addressed to a member any more, whoever did it; whether it was."""
    if addressed_by(connection, study, member) is None:
        return False
    _set(connection, study, member, ended=now(), stop=True)
    return True


def stop_fetching(connection: Connection, study: StudyId) -> None:
    """Whoever fetches a study, as it is addressed to it, shall not: it was cancelled."""
    which = (recipients.c.study == study.raw, recipients.c.ended.is_(None))
    connection.execute(update(recipients).where(*which).values(stop=True, told=0))


def _add(
    connection: Connection,
    study: StudyId,
    member: VirtualAddress,
    priority: Priority,
    *,
    sender: VirtualAddress | None,
    actor: str,
) -> None:
    row = {
        "study": study.raw,
        "member": member.raw,
        "sender": None if sender is None else sender.raw,
        "actor": actor,
        "priority": int(priority),
        "addressed": now(),
        "ended": None,
        "told": 0,
        "stop": False,
    }
    upsert(connection, recipients, ["study", "member"], row)


def list_due(
    connection: Connection, *, study: StudyId | None = None, member: VirtualAddress | None = None
) -> list[DueOrder]:
    """Who is to be told of what, the most urgent first: of a first version, and of each that is
    whole. What an administrator addressed need not be out: it is published when it is asked for.
    Of what its sender cancelled nobody is told before it is known what the PACS has of it.

    Args:
        connection: a transaction.
        study: of this one alone.
        member: to this one alone.
    """
    version = func.coalesce(studies.c.version, 0)
    is_there = or_(version > 0, recipients.c.sender.is_(None))
    first = and_(recipients.c.told == 0, is_there)
    newer = and_(studies.c.complete, version > recipients.c.told)
    query: Select[Any] = (
        select(
            recipients.c.study,
            recipients.c.member,
            recipients.c.priority,
            recipients.c.sender,
            recipients.c.addressed,
            version.label("version"),
        )
        .outerjoin(studies, studies.c.study == recipients.c.study)
        .outerjoin(sent, sent.c.study == recipients.c.study)
        .where(recipients.c.ended.is_(None), or_(first, newer))
        .where(or_(sent.c.cancelled.is_(None), sent.c.came.is_not(None)))
        .order_by(recipients.c.priority.desc(), recipients.c.addressed)
    )
    return [
        DueOrder(
            StudyId(bytes(row.study)),
            VirtualAddress(bytes(row.member)),
            max(1, row.version),
            Priority(row.priority),
            None if row.sender is None else VirtualAddress(bytes(row.sender)),
            row.addressed,
        )
        for row in connection.execute(_of(query, study, member))
    ]


def list_ends(
    connection: Connection, *, study: StudyId | None = None, member: VirtualAddress | None = None
) -> list[DueEnd]:
    """Who is to be told not to fetch what (any more); see `list_due`."""
    is_cancelled = sent.c.cancelled.is_not(None).label("is_cancelled")
    query: Select[Any] = (
        select(recipients.c.study, recipients.c.member, is_cancelled)
        .outerjoin(sent, sent.c.study == recipients.c.study)
        .where(recipients.c.stop)
    )
    return [
        DueEnd(StudyId(bytes(row.study)), VirtualAddress(bytes(row.member)), row.is_cancelled)
        for row in connection.execute(_of(query, study, member))
    ]


def _of(query: Select[Any], study: StudyId | None, member: VirtualAddress | None) -> Select[Any]:
    if study is not None:
        query = query.where(recipients.c.study == study.raw)
    return query if member is None else query.where(recipients.c.member == member.raw)


def note_end(connection: Connection, end: DueEnd) -> None:
    """The member does not fetch it."""
    _set(connection, end.study, end.member, stop=False)


def note_told(connection: Connection, order: DueOrder) -> None:
    """The member keeps an order; one that became more urgent meanwhile is told again."""
    same = and_(
        recipients.c.study == order.study.raw,
        recipients.c.member == order.member.raw,
        recipients.c.priority == int(order.priority),
    )
    connection.execute(update(recipients).where(same).values(told=order.version, stop=False))


def _set(connection: Connection, study: StudyId, member: VirtualAddress, **values: object) -> None:
    same = and_(recipients.c.study == study.raw, recipients.c.member == member.raw)
    connection.execute(update(recipients).where(same).values(**values))


def _recipient(row: Row[Any]) -> Recipient:
    return Recipient(
        StudyId(bytes(row.study)),
        VirtualAddress(bytes(row.member)),
        None if row.sender is None else VirtualAddress(bytes(row.sender)),
        row.actor,
        Priority(row.priority),
        row.addressed,
        row.ended,
        row.told,
    )
