"""Who received how much of which study from whom, by the hour and by the day.

Members tell what they received, and the broker what it got from the PACS; what somebody sent is
what others received of it. Hours are kept for 90 days and days for ten years, so the table is
bounded by its resolution and never by how much was transferred.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from attrs import frozen
from sqlalchemy import ColumnElement, Connection, delete, func, select

from broker.config import DAY
from broker.database.db import now
from broker.database.schema import traffic, traffic_reports
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.sql.portable import add_up, upsert
from p2pacs.wire.messages.received import HOUR, Received

DAY_MS: Final = DAY * 1000

PACS: Final = b""
"""The giver of what came from the PACS."""


class Step(StrEnum):
    """The resolution of what is known of a time."""

    HOUR = "hour"
    DAY = "day"


LENGTH: Final = {Step.HOUR: HOUR, Step.DAY: DAY_MS}
"""Milliseconds."""

KEPT: Final = {Step.HOUR: 90 * DAY_MS, Step.DAY: 3653 * DAY_MS}
"""Milliseconds."""

MOST: Final = 1000
"""Members or studies in one answer."""


@frozen
class Flow:
    """What came to somebody from somebody."""

    at: int
    receiver: bytes
    """Virtual address."""
    giver: bytes
    """Likewise; empty: the PACS."""
    bytes: int


@frozen
class StudyFlow:
    """What was transferred of a study, to whomever."""

    study: StudyId
    bytes: int


def keep_received(
    connection: Connection, receiver: VirtualAddress, received: Sequence[Received]
) -> None:
    """Count what a member reported, once however often it is reported.

    Args:
        connection: a transaction.
        receiver: the member.
        received: one report: all of them have its serial. An hour that cannot be (in the future,
            or longer ago than hours are kept) counts as the one in which it came.
    """
    serial = max((one.serial for one in received), default=0)
    query = select(traffic_reports.c.serial).where(traffic_reports.c.member == receiver.raw)
    if serial <= (connection.execute(query).scalar_one_or_none() or 0):
        return
    row = {"member": receiver.raw, "serial": serial}
    upsert(connection, traffic_reports, ["member"], row)
    at = now()
    for one in received:
        is_likely = at - KEPT[Step.HOUR] < one.hour < at + DAY_MS
        hour = one.hour if is_likely else at - at % HOUR
        between = {"receiver": receiver.raw, "giver": one.giver.raw}
        count(connection, hour, one.study, one.size, **between)
    forget(connection, at)


def count(
    connection: Connection,
    time: int,
    study: StudyId,
    size: int,
    *,
    receiver: bytes,
    giver: bytes,
) -> None:
    """Add bytes to the hour and to the day of this time.

    Args:
        connection: a transaction.
        time: milliseconds since 1970.
        study: of which.
        size: bytes.
        receiver: virtual address.
        giver: likewise; `PACS`: the PACS.
    """
    for step, length in LENGTH.items():
        key = {
            "step": step.value,
            "at": time - time % length,
            "receiver": receiver,
            "giver": giver,
            "study": study.raw,
        }
        add_up(connection, traffic, key, "bytes", size)


def forget(connection: Connection, at: int) -> None:
    """Delete what is older than it is kept."""
    for step, kept in KEPT.items():
        connection.execute(
            delete(traffic).where(traffic.c.step == step.value, traffic.c.at < at - kept)
        )


def flows(
    connection: Connection,
    step: Step,
    since: int,
    until: int,
    *,
    member: VirtualAddress | None = None,
    study: StudyId | None = None,
) -> list[Flow]:
    """What was transferred, by time, receiver and giver; the earliest first.

    Args:
        connection: a transaction.
        step: hours or days.
        since: milliseconds since 1970.
        until: likewise; not of this moment any more.
        member: that sent or received it; None: anybody.
        study: of which alone; None: of all.
    """
    total = func.sum(traffic.c.bytes).label("total")
    columns = traffic.c.at, traffic.c.receiver, traffic.c.giver
    query = select(*columns, total).where(*_within(step, since, until))
    if member is not None:
        query = query.where((traffic.c.receiver == member.raw) | (traffic.c.giver == member.raw))
    if study is not None:
        query = query.where(traffic.c.study == study.raw)
    rows = connection.execute(query.group_by(*columns).order_by(*columns))
    return [Flow(row.at, bytes(row.receiver), bytes(row.giver), int(row.total)) for row in rows]


def busiest_studies(
    connection: Connection,
    step: Step,
    since: int,
    until: int,
    *,
    member: VirtualAddress | None = None,
    most: int = 10,
) -> list[StudyFlow]:
    """The studies of which most was transferred; arguments as `flows` has them."""
    total = func.sum(traffic.c.bytes).label("total")
    query = select(traffic.c.study, total).where(*_within(step, since, until))
    if member is not None:
        query = query.where((traffic.c.receiver == member.raw) | (traffic.c.giver == member.raw))
    query = query.group_by(traffic.c.study).order_by(total.desc(), traffic.c.study)
    rows = connection.execute(query.limit(min(most, MOST)))
    return [StudyFlow(StudyId(bytes(row.study)), int(row.total)) for row in rows]


def _within(step: Step, since: int, until: int) -> Iterable[ColumnElement[bool]]:
    return traffic.c.step == step.value, traffic.c.at >= since, traffic.c.at < until
