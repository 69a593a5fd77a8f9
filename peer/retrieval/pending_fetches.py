"""Fetches that somebody asked for and that are not at their end: taken up again after a restart.

They are in the peer's database from their beginning until they are complete, cancelled or
void, so that a peer that was killed goes on where it was. One that somebody paused stays there as
that, also over a restart, until it is resumed, cancelled, or asked for anew.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial

import structlog
import trio
from attrs import frozen
from sqlalchemy import Connection, Executable, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from p2pacs.concurrency.signals import Pause
from p2pacs.errors import AccessError, NotFoundError, P2PacsError
from p2pacs.ids import StudyId
from p2pacs.phrases import Phrase
from p2pacs.swarm.download.transfer import Transfer, TransferState
from p2pacs.swarm.scheduling.priority import Priority
from peer.db import PeerDatabase, fetches, paused
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
        self._paused: set[StudyId] = set()
        self._one = trio.Lock()
        self._scope = trio.CancelScope()
        self._pause = Pause()

    def wake(self) -> None:
        """The broker is there (again): what failed without it is tried now."""
        self._pause.end()

    def asked(self, fetch: StudyFetch, requester: Requester) -> None:
        """Somebody asked for a study, which is being fetched now, also if it was paused."""
        self._paused.discard(fetch.study)
        try:
            self._send.send_nowait((fetch, requester))
        except trio.WouldBlock:
            log.warning("too many fetches to note down", study=fetch.study.short)

    @property
    def paused(self) -> frozenset[StudyId]:
        """Fetches that somebody paused."""
        return frozenset(self._paused)

    async def pause(self, fetch: StudyFetch, requester: Requester) -> None:
        """Stop a fetch until somebody resumes it, or asks for the study anew.

        Args:
            fetch: Under way.
            requester: For whom it goes on later, should nobody have been noted yet.

        Raises:
            NotFoundError: it is not under way.
            LocalError: it cannot be written down; it goes on.
        """
        study = fetch.study
        values = _values(_PendingFetch(study, requester, int(time.time())))

        def write(connection: Connection) -> None:
            connection.execute(insert(fetches).values(values).on_conflict_do_nothing())
            connection.execute(insert(paused).values(study=study.raw).on_conflict_do_nothing())

        async with self._one:
            if not fetch.fetching:
                raise NotFoundError(
                    Phrase("study %(study)s is not being fetched", study=study.short)
                )
            await self._database.run(write)
            self._paused.add(study)
            fetch.pause()

    async def resume(self, study: StudyId, begin: Resume) -> StudyFetch:
        """Go on with a fetch that was paused, for whom it was.

        Args:
            study: Which.
            begin: As `run` has it.

        Raises:
            NotFoundError: it is not paused.
            P2PacsError: it cannot go on now; it stays paused.
        """
        query = select(fetches).where(fetches.c.study == study.raw)
        row = await self._database.run(lambda c: c.execute(query).one_or_none())
        if row is None or study not in self._paused:
            raise NotFoundError(Phrase("study %(study)s is not paused", study=study.short))
        requester = Requester(row.caller, row.purpose, Priority(row.priority), row.detail)
        fetch = await begin(study, requester)
        self.asked(fetch, requester)
        return fetch

    async def prioritised(self, study: StudyId, priority: Priority) -> None:
        """A fetch is more, or less, urgent from now on: also after a restart."""
        change = update(fetches).where(fetches.c.study == study.raw)
        change = change.values(priority=int(priority))
        await self._write(lambda connection: _run(connection, change))

    async def cancel(self, study: StudyId) -> None:
        """A fetch that was paused is not gone on with; what is here stays.

        Raises:
            LocalError: that cannot be written down.
        """
        async with self._one:
            if study in self._paused:
                await self._database.run(partial(_delete, study))
                self._paused.discard(study)

    def close(self) -> None:
        """The peer stops: what ends from now on ends because of that, and goes on later."""
        self._scope.cancel()

    async def run(self, resume: Resume) -> None:
        """Take up what was unfinished, and follow what is begun, until `close`."""
        rows = await self._database.persist(lambda c: c.execute(select(fetches)).all())
        stopped = await self._database.persist(lambda c: c.execute(select(paused.c.study)).all())
        self._paused.update(StudyId(study) for (study,) in stopped)
        with self._scope:
            async with trio.open_nursery() as nursery:
                for row in rows:
                    if StudyId(row.study) in self._paused:
                        continue
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
                        if pending.study in self._paused:  # after it was asked for
                            continue
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
                if pending.study in self._paused:
                    self._followed.discard(pending.study)
                    return
                if fetch is None or fetch.transfer.state is not TransferState.FETCHING:
                    await self._forget(pending.study)
                    return

    # ------------------------------------------------------------ the database

    async def _note(self, pending: _PendingFetch) -> None:
        values = _values(pending)
        note = insert(fetches).values(values)
        note = note.on_conflict_do_update(index_elements=["study"], set_=values)

        def write(connection: Connection) -> None:
            connection.execute(note)
            connection.execute(delete(paused).where(paused.c.study == pending.study.raw))

        await self._write(write)

    async def _forget(self, study: StudyId) -> None:
        self._followed.discard(study)
        await self._write(partial(_delete, study))

    async def _write(self, work: Callable[[Connection], None]) -> None:
        """A fetch that cannot be noted down is fetched all the same."""
        try:
            await self._database.run(work)
        except P2PacsError as error:
            log.warning("unfinished fetches are not kept", error=str(error))


def _values(pending: _PendingFetch) -> dict[str, object]:
    return {
        "study": pending.study.raw,
        "caller": pending.requester.caller,
        "purpose": pending.requester.purpose,
        "detail": pending.requester.detail,
        "priority": int(pending.requester.priority),
        "asked": pending.asked,
    }


def _delete(study: StudyId, connection: Connection) -> None:
    for table in (fetches, paused):
        connection.execute(delete(table).where(table.c.study == study.raw))


def _run(connection: Connection, statement: Executable) -> None:
    connection.execute(statement)


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
