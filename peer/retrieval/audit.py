"""Who read which study here: kept on disk until the broker has it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

import msgpack
import structlog
import trio
from sqlalchemy import delete, insert, select

from p2pacs.errors import P2PacsError, UnavailableError
from p2pacs.ids import StudyId
from p2pacs.limits import AUDIT_RECORDS
from p2pacs.wire.messages import AuditReport
from peer.db import PeerDatabase, audit

RETRY: Final = 60.0
"""Seconds after which a report that the broker did not take is sent again."""

log = structlog.get_logger(__name__)


class AuditQueue:
    """Reads wait in the peer's database until the broker confirms that it keeps them."""

    def __init__(self, database: PeerDatabase) -> None:
        self._database = database
        self._wake = trio.Event()

    async def record(self, study: StudyId, *, caller: str, purpose: str) -> None:
        """Keep that ``caller`` (an AE title, or a command) now reads ``study``.

        Raises:
            DiskFullError: it cannot be kept, so the study must not be read.
        """
        entry = {
            "study": study.raw,
            "caller": caller,
            "purpose": purpose,
            "time": time.time_ns() // 1_000_000,
        }
        raw: bytes = msgpack.packb(entry)
        await self._database.run(
            lambda connection: connection.execute(insert(audit), {"record": raw})
        )
        self.wake()

    def wake(self) -> None:
        """There may be something to send, or somebody to send it to."""
        self._wake.set()

    async def waiting(self) -> int:
        """How many records the broker does not have yet."""
        return len(await self._database.run(lambda c: c.execute(select(audit.c.id)).all()))

    async def run(self, send: Callable[[AuditReport], Awaitable[object]]) -> None:
        """Report for ever; ``send`` returns when the broker keeps the records."""
        while True:
            with trio.move_on_after(RETRY):
                await self._wake.wait()
            self._wake = trio.Event()
            try:
                while await self._report(send):
                    pass
            except UnavailableError:
                log.debug("audit waits for the broker")
            except P2PacsError as error:
                log.warning("audit not reported", error=str(error))

    async def _report(self, send: Callable[[AuditReport], Awaitable[object]]) -> bool:
        query = select(audit).order_by(audit.c.id).limit(AUDIT_RECORDS)
        rows = await self._database.run(lambda connection: connection.execute(query).all())
        if not rows:
            return False
        await send(AuditReport(id=0, records=[row.record for row in rows]))
        sent = delete(audit).where(audit.c.id <= rows[-1].id)
        await self._database.run(lambda connection: connection.execute(sent))
        return True
