"""What members' gateways report of reads there: checked, and written to the audit trail once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgpack
from attrs import evolve, frozen
from sqlalchemy import Connection, literal, select

from broker.database.db import now
from broker.database.schema import audit as trail
from broker.database.schema import studies
from broker.members.registry import Member
from broker.trail import audit
from broker.trail.audit import DONE, FAILED, INTERRUPTED, Entry, utc
from p2pacs.errors import MalformedMessageError, UsageError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import AUDIT_RECORDS, TEXT
from p2pacs.wire.messages.received import HOUR

READ_OUTCOMES: Final = frozenset({DONE, FAILED, INTERRUPTED})
"""What a member's gateway may say of a read."""

COMMAND: Final = "command"
"""Caller and purpose of a read by ``p2pacs get`` (peer/retrieval/requester.py)."""

CLOCKS_DIFFER: Final = 24 * HOUR
"""Milliseconds by which a member's clock may be wrong before its times are not believed."""


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
    mine = trail.c.address == address.raw
    kept: set[tuple[object, ...]] = set()
    if times:
        query = select(trail.c.study, trail.c.detail, trail.c.time)
        rows = connection.execute(query.where(mine, trail.c.time.in_(times)))
        kept.update(tuple(row) for row in rows)
    if details:
        query = select(trail.c.study, trail.c.detail, literal(None))
        rows = connection.execute(query.where(mine, trail.c.detail.in_(details)))
        kept.update(tuple(row) for row in rows)
    fresh: dict[tuple[object, ...], Entry] = {}
    for one in reported:
        if (identity := _identity(one)) not in kept:
            fresh.setdefault(identity, one.entry)
    audit.record(connection, *_with_uids(connection, list(fresh.values())))


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
