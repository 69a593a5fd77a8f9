"""Studies that other members sent to this one: who did, when, how urgently, and whether anybody has
read them here. Kept for as long as the broker lets them be addressed to this member."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Final

import trio
from attrs import frozen
from sqlalchemy import Connection, Row, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.scheduling.priority import Priority
from peer.db import PeerDatabase, sent_here

_ASKED: Final = 500
"""Studies in one statement: SQLite takes 999 variables in its older versions."""


@frozen
class SentHere:
    """One of them."""

    study: StudyId
    sender: VirtualAddress
    """The member that sent it; a broker: an administrator addressed it."""
    priority: Priority
    addressed: int
    """When: milliseconds since 1970."""
    is_read: bool = False
    """Whether somebody here has looked at it, or had it sent to a workstation."""

    @property
    def is_stat(self) -> bool:
        """Whether it was sent as an emergency."""
        return self.priority is Priority.STAT


class StudiesSentHere:
    """Those of one peer."""

    def __init__(self, database: PeerDatabase) -> None:
        self._database = database

    async def note(self, one: SentHere) -> None:
        """The broker says of a study, perhaps again, that it is addressed to this member. One that
        was read stays so, unless it was addressed anew.

        Raises:
            LocalError: it cannot be written down.
        """
        await self._database.run(partial(_note, one))

    async def ended(self, study: StudyId) -> None:
        """It is not addressed to this member any more.

        Raises:
            LocalError: it cannot be written down.
        """
        gone = delete(sent_here).where(sent_here.c.study == study.raw)
        await self._database.run(lambda connection: connection.execute(gone))

    async def find(self, studies: Collection[StudyId]) -> Mapping[StudyId, SentHere]:
        """Which of these were sent to this member."""
        raw = [study.raw for study in studies]

        def read(connection: Connection) -> list[Row[Any]]:
            parts = (raw[first : first + _ASKED] for first in range(0, len(raw), _ASKED))
            asked = (select(sent_here).where(sent_here.c.study.in_(part)) for part in parts)
            return [row for query in asked for row in connection.execute(query)]

        found = map(_sent_here, await self._read(read))
        return {one.study: one for one in found}

    async def newest(self, most: int, *, unread: bool = False) -> list[SentHere]:
        """The last ones that were sent, newest first.

        Args:
            most: so many.
            unread: only those that nobody here has read yet.
        """
        query = select(sent_here).order_by(sent_here.c.addressed.desc(), sent_here.c.study)
        if unread:
            query = query.where(sent_here.c.read.is_(None))
        query = query.limit(most)
        rows = await self._read(lambda connection: list(connection.execute(query)))
        return [_sent_here(row) for row in rows]

    async def _read(self, read: Callable[[Connection], list[Row[Any]]]) -> list[Row[Any]]:
        """Without a lock: searching answers while another program (a backup) holds the file."""

        def work() -> list[Row[Any]]:
            with self._database.reading() as connection:
                return read(connection)

        return await trio.to_thread.run_sync(work)


def note_read(connection: Connection, study: StudyId, time: int) -> None:
    """Somebody here reads a study now (milliseconds since 1970)."""
    unread = sent_here.c.study == study.raw, sent_here.c.read.is_(None)
    connection.execute(update(sent_here).where(*unread).values(read=time))


def _note(one: SentHere, connection: Connection) -> None:
    said = {
        "sender": one.sender.raw,
        "priority": int(one.priority),
        "addressed": one.addressed,
    }
    anew = sent_here.c.addressed != one.addressed
    same = sent_here.c.study == one.study.raw
    connection.execute(update(sent_here).where(same, anew).values(read=None))
    added = insert(sent_here).values(study=one.study.raw, read=None, **said)
    connection.execute(added.on_conflict_do_update(index_elements=["study"], set_=said))


def _sent_here(row: Row[Any]) -> SentHere:
    return SentHere(
        StudyId(row.study),
        VirtualAddress(row.sender),
        Priority(row.priority),
        row.addressed,
        row.read is not None,
    )
