"""Fetches that somebody asked for and that are not at their end: taken up again after a restart.

They are in the peer's database from their beginning until they are complete, cancelled or
void, so that a peer that was killed goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import structlog
import trio
from attrs import frozen
from sqlalchemy import Executable, delete, select
from sqlalchemy.dialects.sqlite import insert

from p2pacs.errors import AccessError, NotFoundError, P2PacsError
from p2pacs.ids import StudyId
from p2pacs.signals import Pause
from p2pacs.swarm.download.transfer import Transfer, TransferState
from p2pacs.swarm.scheduling.priority import Priority
from peer.db import PeerDatabase, fetches
from peer.retrieval.requester import Requester
from peer.retrieval.study_fetch import StudyFetch


@frozen
class PendingFetchesTuning:
    """What fetches that did not end go by."""

    retry: float = 60.0
    """Seconds after which a fetch that failed is begun again."""

    patience: float = 3 * 24 * 3600
    """Seconds after which nobody waits for a fetch any more."""

    waiting: int = 1024
    """Fetches that wait to be noted down."""


Resume = Callable[[StudyId, Requester], Awaitable[StudyFetch]]
"""Begins a fetch again for somebody who asked for it before."""

log = structlog.get_logger(__name__)


@frozen
class _PendingFetch:
    """One fetch that somebody asked for."""

    study: StudyId
    requester: Requester
    asked: int
    """Seconds since 1970."""


class PendingFetches:
    """The fetches under way, on disk."""

    def __init__(self, database: PeerDatabase) -> None:
        self.tuning = PendingFetchesTuning()
        """What they go by; before `run`."""
        self._database = database
        asked = trio.open_memory_channel[tuple[StudyFetch, Requester]](self.tuning.waiting)
        self._send, self._receive = asked
        self._followed: set[StudyId] = set()
        self._one = trio.Lock()
        self._scope = trio.CancelScope()
        self._pause = Pause()

    def wake(self) -> None:
        """The broker is there (again): what failed without it is tried now."""
        self._pause.end()

    def asked(self, fetch: StudyFetch, requester: Requester) -> None:
        """Somebody asked for a study, which is being fetched now."""
        try:
            self._send.send_nowait((fetch, requester))
        except trio.WouldBlock:
            log.warning("too many fetches to note down", study=fetch.study.short)

    def close(self) -> None:
        """The peer stops: what ends from now on ends because of that, and goes on later."""
        self._scope.cancel()

    async def run(self, resume: Resume) -> None:
        """Take up what was unfinished, and follow what is begun, until `close`."""
        rows = await self._database.persist(lambda c: c.execute(select(fetches)).all())
        with self._scope:
            async with trio.open_nursery() as nursery:
                for row in rows:
                    requester = Requester(
                        row.caller, row.purpose, Priority(row.priority), row.detail
                    )
                    pending = _PendingFetch(StudyId(row.study), requester, row.asked)
                    self._followed.add(pending.study)
                    nursery.start_soon(self._follow, pending, None, resume)
                async for fetch, requester in self._receive:
                    if fetch.transfer.state is TransferState.COMPLETE:
                        continue
                    pending = _PendingFetch(fetch.study, requester, int(time.time()))
                    async with self._one:
                        await self._note(pending)
                        if pending.study not in self._followed:
                            self._followed.add(pending.study)
                            nursery.start_soon(self._follow, pending, fetch, resume)

    async def _follow(
        self, pending: _PendingFetch, fetch: StudyFetch | None, resume: Resume
    ) -> None:
        """Until a fetch is at its end; begun anew where nobody else would."""
        while True:
            if fetch is None or not await _at_end(fetch, self.tuning, self._pause):
                fetch = await _begun_again(pending, resume, self.tuning, self._pause)
            async with self._one:
                if fetch is None or fetch.transfer.state is not TransferState.FETCHING:
                    await self._forget(pending.study)
                    return

    # ------------------------------------------------------------ the database

    async def _note(self, pending: _PendingFetch) -> None:
        values = {
            "caller": pending.requester.caller,
            "purpose": pending.requester.purpose,
            "detail": pending.requester.detail,
            "priority": int(pending.requester.priority),
            "asked": pending.asked,
        }
        statement = insert(fetches).values(study=pending.study.raw, **values)
        await self._write(statement.on_conflict_do_update(index_elements=["study"], set_=values))

    async def _forget(self, study: StudyId) -> None:
        self._followed.discard(study)
        await self._write(delete(fetches).where(fetches.c.study == study.raw))

    async def _write(self, statement: Executable) -> None:
        """A fetch that cannot be noted down is fetched all the same."""
        try:
            await self._database.run(lambda connection: connection.execute(statement))
        except P2PacsError as error:
            log.warning("unfinished fetches are not kept", error=str(error))


async def _begun_again(
    pending: _PendingFetch, resume: Resume, tuning: PendingFetchesTuning, pause: Pause
) -> StudyFetch | None:
    """The fetch; None if it can never be, or nobody waits for it any more."""
    while True:
        since = pause.ended
        try:
            fetch = await resume(pending.study, pending.requester)
        except (NotFoundError, AccessError) as error:
            log.warning("unfinished fetch is void", study=pending.study.short, error=str(error))
            return None
        except P2PacsError as error:
            log.info("cannot go on fetching yet", study=pending.study.short, error=str(error))
            if time.time() - pending.asked > tuning.patience:
                return None
            await pause.wait(tuning.retry, since)
        else:
            log.info("fetch taken up again", study=pending.study.short)
            return fetch


async def _at_end(fetch: StudyFetch, tuning: PendingFetchesTuning, pause: Pause) -> bool:
    """Wait until a transfer ends; whether the fetch is over with it.

    One that failed is over if somebody was there to be told.
    """
    while True:
        transfer = fetch.transfer
        await _ended(transfer)
        if transfer.state is TransferState.COMPLETE or fetch.given_up:
            return True
        told = fetch.users > 0
        await pause.wait(tuning.retry, pause.ended)
        if fetch.transfer is transfer:
            return told


async def _ended(transfer: Transfer) -> None:
    await transfer.watch.until(lambda: transfer.state is not TransferState.FETCHING)
