"""Studies that members cancelled: what the PACS has of one is a study like any other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog
import trio
from attrs import frozen
from sqlalchemy import Connection

from broker.database.db import BrokerDatabase
from broker.ingest.forwarding import StudyKeyOf
from broker.ingest.sending import SendingStudies
from broker.ingest.sent import SentStudy, list_cancelled, note_came
from broker.pacs.adapter import PacsAdapter
from broker.trail import audit
from p2pacs.errors import (
    CodingError,
    CorruptStoreError,
    ManifestError,
    P2PacsError,
    StudyNotFoundError,
)
from p2pacs.identity.keys import Verifier
from p2pacs.ids import StudyId
from p2pacs.publish.previous import load_published
from p2pacs.publish.source import Detail
from p2pacs.store import ChunkStore

log = structlog.get_logger(__name__)

CANCELLED: Final = "sending cancelled"
"""In the audit trail."""

RETRY_SECONDS: Final = 30.0
"""After the PACS could not tell."""


@frozen
class CancelledParts:
    """What it works with."""

    database: BrokerDatabase
    store: ChunkStore
    verifier: Verifier
    pacs: PacsAdapter
    studies: StudyKeyOf
    sending: SendingStudies
    stored: Callable[[str, bool], None]
    """The PACS has what it has of a study (its UID), and that differs from what is published."""


class CancelledStudies:
    """Finds out how much of each came. `run` must be running."""

    def __init__(self, parts: CancelledParts, *, retry_seconds: float = RETRY_SECONDS) -> None:
        self._parts = parts
        self._retry_seconds = retry_seconds
        self._scopes: dict[StudyId, trio.CancelScope] = {}
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Finish what was cancelled until cancelled, beginning with what was not finished."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for one in await self._parts.database.persist(list_cancelled):
                    self.begin(one)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None

    def begin(self, sent: SentStudy) -> None:
        """A study was cancelled, and nothing more of it is stored."""
        self.resumed(sent.study)
        if self._nursery is not None:
            scope = self._scopes[sent.study] = trio.CancelScope()
            self._nursery.start_soon(self._work, sent, scope)

    def resumed(self, study: StudyId) -> None:
        """Its member may send a study again: it is not one of the PACS alone."""
        if (scope := self._scopes.pop(study, None)) is not None:
            scope.cancel()

    async def _work(self, sent: SentStudy, scope: trio.CancelScope) -> None:
        with scope:
            while True:
                try:
                    await self._finish(sent)
                except P2PacsError as error:
                    why = str(error)
                    log.info("a cancelled study waits", study=sent.study.short, why=why)
                    await trio.sleep(self._retry_seconds)
                else:
                    break
        if self._scopes.get(sent.study) is scope:
            del self._scopes[sent.study]

    async def _finish(self, sent: SentStudy) -> None:
        parts, study = self._parts, sent.study
        count = await self._count(sent.uid)
        goes_on = not count or await self._is_index_here(sent)
        detail = f"{count} of {sent.instances} instances are in the central PACS"
        entry = audit.Entry(CANCELLED, "-", sent.member, study, sent.uid, detail)

        def work(connection: Connection) -> bool:
            is_over = note_came(connection, study, count)
            if is_over:
                audit.record(connection, entry)
            return is_over

        if await parts.database.run(work):
            log.info("a study was cancelled", study=study.short, instances=count)
            if goes_on:  # else it is left as it is: another version would contradict that
                parts.sending.discard(study)
                parts.stored(sent.uid, count > 0)

    async def _is_index_here(self, sent: SentStudy) -> bool:
        """Whether the broker can go on from the newest version that the member signed."""
        parts = self._parts
        files, key = await parts.store.study(sent.study), await parts.studies.ensure(sent.uid)
        with suppress(CorruptStoreError, CodingError, ManifestError):
            return await load_published(files, key, parts.verifier) is not None
        return False

    async def _count(self, uid: str) -> int:
        try:
            return len((await self._parts.pacs.describe(uid, Detail.UIDS)).instances)
        except StudyNotFoundError:
            return 0
