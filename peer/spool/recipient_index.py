"""To whom the studies in the spool are addressed, and how far each is with them: rows of the
spool's index."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final

from attrs import frozen
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from p2pacs.ids import VirtualAddress
from p2pacs.sql.portable import upsert
from p2pacs.sql.sqlite import SqliteFile
from p2pacs.swarm.scheduling.priority import Priority
from peer.spool.recipient_rules import Recipients
from peer.spool.tables import metadata

_AT_ONCE: Final = 500
"""UIDs in one question: SQLite takes no more than 999 values in an older version."""

recipients: Final = Table(
    "recipients",
    metadata,
    Column("uid", String, primary_key=True),
    Column("names", String, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("by_rule", Boolean, nullable=False),
    Column("told", LargeBinary),
    Column("said", Integer, nullable=False),
    Column("over", Boolean, nullable=False),
)
"""To whom a study goes (``names`` is JSON), by the rules in the settings or as somebody said.
``told`` is what the broker was told: the priority and the members' addresses; null: nothing.
``said`` is when somebody said so (milliseconds since 1970). ``over``: nobody is waited for any
more."""

copies: Final = Table(
    "copies",
    metadata,
    Column("uid", String, primary_key=True),
    Column("member", LargeBinary, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("share", Integer, nullable=False),
    Column("seen", Integer, nullable=False),
)
"""How far a member is with a study, as the broker said last (``seen``: milliseconds since 1970):
the newest version that it has whole, and thousandths of the newest one."""


@frozen
class StudyRecipients:
    """To whom a study is addressed."""

    recipients: Recipients
    by_rule: bool
    """By the settings; else somebody said so."""
    told: bytes | None
    """What the broker was told of it."""
    said: int
    """When it was said: milliseconds since 1970."""


@frozen
class CopyState:
    """How far a member is with a study, as it was known last."""

    member: VirtualAddress
    version: int
    """Newest that it has whole; 0: none."""
    share: int
    """Thousandths of the newest version."""
    seen: int
    """When that was said: milliseconds since 1970."""


@frozen
class AddressedStudy:
    """To whom a study goes, and how far each is with it."""

    recipients: Recipients
    by_rule: bool
    """By the settings; else somebody said so."""
    unknown: tuple[str, ...]
    """Names that no member has now."""
    members: tuple[VirtualAddress, ...]
    """Those whom the names mean."""
    copies: tuple[CopyState, ...]
    """Of recipients and replicas, as the broker said last."""


def told_of(priority: Priority, addresses: Iterable[VirtualAddress]) -> bytes:
    """What the broker is told, as it is remembered."""
    return bytes([priority]) + b"".join(one.raw for one in sorted(addresses))


class RecipientIndex:
    """These rows; threads may use it at once."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def find(self, uid: str) -> StudyRecipients | None:
        """To whom a study goes; None: nobody said anything of that."""
        with self._file.reading() as connection:
            query = select(recipients).where(recipients.c.uid == uid)
            row = connection.execute(query).one_or_none()
        return None if row is None else _recipients(row)

    def find_all(
        self, uids: Sequence[str]
    ) -> dict[str, tuple[StudyRecipients | None, list[CopyState]]]:
        """To whom these studies go, and how far members are with each."""
        found: dict[str, tuple[StudyRecipients | None, list[CopyState]]] = {}
        with self._file.reading() as connection:
            for at in range(0, len(uids), _AT_ONCE):
                some = uids[at : at + _AT_ONCE]
                query = select(recipients).where(recipients.c.uid.in_(some))
                found |= {row.uid: (_recipients(row), []) for row in connection.execute(query)}
                states = select(copies).where(copies.c.uid.in_(some)).order_by(copies.c.member)
                for row in connection.execute(states):
                    found.setdefault(row.uid, (None, []))[1].append(_state(row))
        return found

    def list_waited_for(self) -> list[str]:
        """Study Instance UIDs of the studies that not all have to whom they go."""
        query = select(recipients.c.uid).where(recipients.c.over.is_(False))
        with self._file.reading() as connection:
            return list(connection.execute(query).scalars())

    def over(self, uid: str) -> None:
        """All have a study to whom it goes, or it is not waited for them any more."""
        change = update(recipients).where(recipients.c.uid == uid).values(over=True)
        self._file.transact(lambda c: c.execute(change))

    def put(self, uid: str, said: Recipients, *, by_rule: bool) -> None:
        """A study goes to these."""

        self._file.transact(lambda c: _put(c, uid, said, by_rule=by_rule))

    def urge(self, uid: str, priority: Priority) -> None:
        """A study is so urgent; it goes to whom it went, or to whom the rules say."""

        def work(connection: Connection) -> None:
            row = connection.execute(
                select(recipients).where(recipients.c.uid == uid)
            ).one_or_none()
            known = None if row is None else _recipients(row)
            names = () if known is None else known.recipients.names
            _put(connection, uid, Recipients(names, priority), by_rule=not known or known.by_rule)

        self._file.transact(work)

    def told(self, uid: str, what: bytes) -> None:
        """The broker was told of it."""
        change = update(recipients).where(recipients.c.uid == uid).values(told=what)
        self._file.transact(lambda c: c.execute(change))

    def untold(self, uid: str) -> None:
        """The broker knows of no recipients of a study (any more): it is told anew."""
        change = update(recipients).where(recipients.c.uid == uid).values(told=None, over=False)
        self._file.transact(lambda c: c.execute(change))

    def note(self, uid: str, states: Collection[CopyState]) -> None:
        """How far members are with a study. Whoever had a version whole had it, though it is away
        now; of whom nothing is said any more nothing is known."""

        def work(connection: Connection) -> None:
            before = {one.member: one for one in _states(connection, uid)}
            connection.execute(delete(copies).where(copies.c.uid == uid))
            rows = [_row(uid, one, before.get(one.member)) for one in states]
            if rows:
                connection.execute(insert(copies), rows)

        self._file.transact(work)

    def copies(self, uid: str) -> list[CopyState]:
        """How far members are with a study, as it was known last."""
        with self._file.reading() as connection:
            return _states(connection, uid)


def _put(connection: Connection, uid: str, said: Recipients, *, by_rule: bool) -> None:
    row: dict[str, Any] = {"names": json.dumps(said.names), "priority": int(said.priority)}
    row |= {"by_rule": by_rule, "said": time.time_ns() // 1_000_000, "over": False}
    upsert(connection, recipients, ["uid"], {"uid": uid, **row})


def _states(connection: Connection, uid: str) -> list[CopyState]:
    query = select(copies).where(copies.c.uid == uid).order_by(copies.c.member)
    return [_state(row) for row in connection.execute(query)]


def _state(row: Row[Any]) -> CopyState:
    return CopyState(VirtualAddress(bytes(row.member)), row.version, row.share, row.seen)


def _row(uid: str, state: CopyState, before: CopyState | None) -> dict[str, Any]:
    is_away = before is not None and state.version == state.share == 0
    known = before if before is not None and is_away else state
    return {
        "uid": uid,
        "member": known.member.raw,
        "version": known.version,
        "share": known.share,
        "seen": known.seen,
    }


def _recipients(row: Row[Any]) -> StudyRecipients:
    said = Recipients(tuple(json.loads(row.names)), Priority(row.priority))
    told = None if row.told is None else bytes(row.told)
    return StudyRecipients(said, row.by_rule, told, row.said)
