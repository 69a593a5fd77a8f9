"""Who read which study here: kept on disk until the broker has it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from enum import StrEnum
from typing import Any, Final, TypeVar

import msgpack
import structlog
import trio
from attrs import evolve, frozen
from sqlalchemy import Connection, delete, insert, select, update

from p2pacs.concurrency.groups import single_error
from p2pacs.errors import P2PacsError, UnavailableError
from p2pacs.ids import StudyId
from p2pacs.limits import AUDIT_RECORDS
from p2pacs.wire.messages.messages import AuditReport
from peer.db import PeerDatabase, audit
from peer.retrieval.sent_here import note_read

RETRY: Final = 60.0
"""Seconds after which a report that the broker did not take is sent again."""

FAREWELL: Final = 2.0
"""Seconds at the end of the peer to write down how reads ended."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class ReadOutcome(StrEnum):
    """How a read ended."""

    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@frozen
class ReadEnding:
    """What became of a read."""

    outcome: ReadOutcome
    sent: int
    """Instances that the reader took ..."""
    total: int
    """... of so many that it asked for, as far as known."""


@frozen
class AuditedRead:
    """One read in the audit."""

    id: int
    study: StudyId
    caller: str
    purpose: str
    time: int
    """Milliseconds since 1970 at which it began."""
    ending: ReadEnding | None = None

    def packed(self) -> bytes:
        """As the broker is told (docs/wire.md, `AuditReport`)."""
        said: dict[str, Any] = {
            "study": self.study.raw,
            "caller": self.caller,
            "purpose": self.purpose,
            "time": self.time,
        }
        if self.ending is not None:
            said["outcome"] = self.ending.outcome.value
            said["sent"], said["total"] = self.ending.sent, self.ending.total
        raw: bytes = msgpack.packb(said)
        return raw


class AuditQueue:
    """Reads wait in the peer's database until the broker confirms that it keeps them.

    One whose end will be told is not reported before; until then it stands there as
    interrupted, so that it is reported as that if the peer is killed meanwhile.
    """

    def __init__(self, database: PeerDatabase) -> None:
        self._database = database
        self._wake = trio.Event()
        self._under_way: set[int] = set()
        self._ended: dict[int, bytes] = {}
        """What is not in the database yet."""
        self._taken_back: set[int] = set()
        """What is in it and should not be: nothing was read."""
        self._one = trio.Lock()

    async def record(self, study: StudyId, *, caller: str, purpose: str) -> None:
        """Keep that ``caller`` (an AE title, or a command) now reads ``study``; nobody will say
        how that ends.

        Raises:
            DiskFullError: it cannot be kept, so the study must not be read.
        """
        await self._insert(AuditedRead(0, study, caller, purpose, _now()))
        self.wake()

    async def begin(self, study: StudyId, *, caller: str, purpose: str) -> AuditedRead:
        """As `record`, where `end` will say how that ends.

        Raises:
            DiskFullError: it cannot be kept, so the study must not be read.
        """
        unless_told = ReadEnding(ReadOutcome.INTERRUPTED, 0, 0)
        read = AuditedRead(0, study, caller, purpose, _now(), unless_told)
        async with self._one:  # it must not be reported before it is known to be under way
            read = evolve(read, id=await self._insert(read))
            self._under_way.add(read.id)
        return read

    async def begin_while(
        self, study: StudyId, admit: Callable[[], Awaitable[T]], *, caller: str, purpose: str
    ) -> tuple[AuditedRead, T]:
        """As `begin`, while it is found out whether the study may be read at all: one waits for the
        disk, the other for the network. If it may not, there is no entry.

        Raises:
            DiskFullError: it cannot be kept, so the study must not be read.
            P2PacsError: what ``admit`` raises.
        """
        read: AuditedRead | None = None
        error: P2PacsError | None = None

        async def begin() -> None:
            nonlocal read, error
            try:
                read = await self.begin(study, caller=caller, purpose=purpose)
            except P2PacsError as why:
                error = why

        with ExitStack() as otherwise:
            otherwise.callback(lambda: self._take_back(read))
            with single_error():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(begin)
                    admitted = await admit()
            if read is None:
                raise error or UnavailableError("that it is read cannot be written down")
            otherwise.pop_all()
        return read, admitted

    def _take_back(self, read: AuditedRead | None) -> None:
        if read is not None:
            self._taken_back.add(read.id)
            self.wake()

    async def _insert(self, read: AuditedRead) -> int:
        values = {"record": read.packed()}

        def write(connection: Connection) -> int:
            note_read(connection, read.study, read.time)
            key = connection.execute(insert(audit), values).inserted_primary_key
            return int(key[0]) if key else 0

        return await self._database.run(write)

    def end(self, read: AuditedRead, ending: ReadEnding) -> None:
        """How a read ended that `begin` gave."""
        self._ended[read.id] = evolve(read, ending=ending).packed()
        self._under_way.discard(read.id)
        self.wake()

    def wake(self) -> None:
        """There may be something to send, or somebody to send it to."""
        self._wake.set()

    async def waiting(self) -> int:
        """How many records the broker does not have yet."""
        rows = await self._database.run(lambda c: c.execute(select(audit.c.id)).all())
        return len({row.id for row in rows} - self._taken_back)

    async def run(self, send: Callable[[AuditReport], Awaitable[object]]) -> None:
        """Report for ever; ``send`` returns when the broker keeps the records."""
        try:
            await self._run(send)
        finally:
            with trio.move_on_after(FAREWELL, shield=True):
                await self._keep_endings()

    async def _run(self, send: Callable[[AuditReport], Awaitable[object]]) -> None:
        while True:
            with trio.move_on_after(RETRY):
                await self._wake.wait()
            self._wake = trio.Event()
            await self._keep_endings()
            try:
                while await self._report(send):
                    pass
            except UnavailableError:
                log.debug("audit waits for the broker")
            except P2PacsError as error:
                log.warning("audit not reported", error=str(error))

    async def _report(self, send: Callable[[AuditReport], Awaitable[object]]) -> bool:
        ids = await self._over()
        if not ids:
            return False
        query = select(audit).where(audit.c.id.in_(ids)).order_by(audit.c.id)
        rows = await self._database.run(lambda connection: connection.execute(query).all())
        records = [self._ended.get(row.id, row.record) for row in rows]
        await send(AuditReport(id=0, records=records))
        sent = delete(audit).where(audit.c.id.in_(ids))
        await self._database.run(lambda connection: connection.execute(sent))
        for number in ids:
            self._ended.pop(number, None)
        return True

    async def _over(self) -> list[int]:
        """The oldest records that can be reported."""
        query = select(audit.c.id).order_by(audit.c.id)
        async with self._one:
            rows = await self._database.run(lambda connection: connection.execute(query).all())
            return [row.id for row in rows if row.id not in self._under_way][:AUDIT_RECORDS]

    async def _keep_endings(self) -> None:
        """Write down how reads ended; where that cannot be, it is in memory still."""
        ended, taken_back = dict(self._ended), set(self._taken_back)

        def write(connection: Connection) -> None:
            if taken_back:
                connection.execute(delete(audit).where(audit.c.id.in_(taken_back)))
            for number, raw in ended.items():
                changed = update(audit).where(audit.c.id == number).values(record=raw)
                connection.execute(changed)

        if ended or taken_back:
            try:
                await self._database.run(write)
            except P2PacsError as error:
                log.warning("how reads ended is not kept yet", error=str(error))
                return
        for number in ended:
            self._ended.pop(number, None)
        self._taken_back -= taken_back
        self._under_way -= taken_back


def _now() -> int:
    return time.time_ns() // 1_000_000
