"""Fetches that somebody asked for and that are not at their end: taken up again after a restart.

They are in the peer's database from their beginning until they are complete, cancelled or
void, so that a peer that was killed goes on where it was. One that somebody paused stays there as
that, also over a restart, until it is resumed, cancelled, or asked for anew.

So are those that the broker orders, as the study is addressed to this member: nobody waits for
them here, so they are tried for as long as it takes, whatever those do who read it meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import structlog
import trio
from attrs import evolve, frozen
from sqlalchemy import Connection, Executable, Row, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from p2pacs.concurrency.signals import Pause
from p2pacs.errors import AccessError, BusyError, NotFoundError, P2PacsError
from p2pacs.ids import StudyId
from p2pacs.phrases import Phrase
from p2pacs.swarm.download.transfer import Transfer, TransferState
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages.messages import ADDRESS
from peer.db import PeerDatabase, fetches, ordered, paused
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


class Resume(Protocol):
    """Begins a fetch again (`peer.retrieval.reader.StudyReads.resume`)."""

    async def __call__(self, study: StudyId, requester: Requester, *, least: int = 0) -> StudyFetch:
        """Fetch a study, of which this version is known to be out, for who asked before."""


log = structlog.get_logger(__name__)


@frozen
class _PendingFetch:
    """One fetch that somebody asked for."""

    study: StudyId
    requester: Requester
    asked: int
    """Seconds since 1970."""
    ordered: int = 0
    """Version that the broker ordered; 0: it did not."""

    def over(self, before: _PendingFetch | None) -> _PendingFetch:
        """What is noted when this is asked for: an order stays one, and as urgent as it was."""
        if before is None or not before.ordered or self.ordered:
            return self
        urgent = max(self.requester.priority, before.requester.priority)
        return evolve(before, requester=evolve(before.requester, priority=urgent))


class PendingFetches:
    """The fetches under way, on disk."""

    def __init__(self, database: PeerDatabase) -> None:
        self.tuning = PendingFetchesTuning()
        """What they go by; before `run`."""
        self._database = database
        asked = trio.open_memory_channel[tuple[_PendingFetch, StudyFetch | None]](
            self.tuning.waiting
        )
        self._send, self._receive = asked
        self._followed: dict[StudyId, _PendingFetch] = {}
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
        pending = _PendingFetch(fetch.study, requester, int(time.time()))
        try:
            self._send.send_nowait((pending, fetch))
        except trio.WouldBlock:
            log.warning("too many fetches to note down", study=fetch.study.short)

    async def order(self, study: StudyId, version: int, priority: Priority) -> None:
        """The broker wants a study fetched: it is addressed to this member. Returns when that is
        noted.

        Raises:
            BusyError: too many wait to be begun.
            LocalError: it cannot be written down.
        """
        requester = Requester("broker", ADDRESS, priority)
        pending = _PendingFetch(study, requester, int(time.time()), max(1, version))
        async with self._one:
            await self._database.run(partial(_insert, pending))
        try:
            self._send.send_nowait((pending, None))
        except trio.WouldBlock:
            raise BusyError("too many fetches wait to be begun") from None

    @property
    def ordered(self) -> frozenset[StudyId]:
        """Studies that are addressed to this member and not here yet."""
        return frozenset(study for study, one in self._followed.items() if one.ordered)

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
        """A fetch that was paused, or ordered, is not gone on with; what is here stays.

        Raises:
            LocalError: that cannot be written down.
        """
        async with self._one:
            if study in self._paused or study in self.ordered:
                await self._database.run(partial(_delete, study))
                self._paused.discard(study)
                self._followed.pop(study, None)

    async def end(self, study: StudyId, *, cancelled: bool) -> None:
        """The broker wants a study fetched no more; returns when that is noted.

        Args:
            study: which.
            cancelled: whether nobody here can have the rest of it; else only its order ends.

        Raises:
            LocalError: that cannot be written down.
        """
        async with self._one:
            if cancelled or study in self.ordered:
                await self._database.run(partial(_delete, study))
                self._paused.discard(study)
                self._followed.pop(study, None)

    def close(self) -> None:
        """The peer stops: what ends from now on ends because of that, and goes on later."""
        self._scope.cancel()

    async def run(self, resume: Resume) -> None:
        """Take up what was unfinished, and follow what is begun, until `close`."""
        rows = await self._database.persist(_read)
        stopped = await self._database.persist(lambda c: c.execute(select(paused.c.study)).all())
        self._paused.update(StudyId(study) for (study,) in stopped)
        with self._scope:
            async with trio.open_nursery() as nursery:
                for pending in map(_pending, rows):
                    if pending.study not in self._paused:
                        self._followed[pending.study] = pending
                        nursery.start_soon(self._follow, pending.study, None, resume)
                async for pending, fetch in self._receive:
                    if fetch is not None and fetch.transfer.state is TransferState.COMPLETE:
                        continue
                    async with self._one:
                        if pending.study in self._paused:  # after it was asked for
                            continue
                        before = self._followed.get(pending.study)
                        noted = self._followed[pending.study] = pending.over(before)
                        await self._note(noted)
                    if before is None:
                        nursery.start_soon(self._follow, pending.study, fetch, resume)
                    elif fetch is None:
                        nursery.start_soon(self._urge, pending, resume)

    async def _urge(self, order: _PendingFetch, resume: Resume) -> None:
        """What is fetched already is more urgent now, or a newer version of it is out."""
        try:
            await resume(order.study, order.requester, least=order.ordered)
        except P2PacsError as error:  # who follows it tries again
            log.info("not more urgent yet", study=order.study.short, error=str(error))

    async def _follow(self, study: StudyId, fetch: StudyFetch | None, resume: Resume) -> None:
        """Until a fetch is at its end; begun anew where nobody else would."""
        while (pending := self._followed.get(study)) is not None:
            over = fetch is not None and await _at_end(fetch, pending, self.tuning, self._pause)
            if not over and study in self._followed and study not in self._paused:
                fetch = await _begun_again(pending, resume, self.tuning, self._pause)
            async with self._one:
                if study in self._paused:
                    self._followed.pop(study, None)
                    return
                pending = self._followed.get(study, pending)  # a newer version may be ordered
                if fetch is None or not _goes_on(fetch, pending):
                    await self._forget(study)
                    return

    # ------------------------------------------------------------ the database

    async def _note(self, pending: _PendingFetch) -> None:
        def write(connection: Connection) -> None:
            _insert(pending, connection)
            connection.execute(delete(paused).where(paused.c.study == pending.study.raw))

        await self._write(write)

    async def _forget(self, study: StudyId) -> None:
        self._followed.pop(study, None)
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


def _read(connection: Connection) -> list[Row[Any]]:
    columns = (*fetches.c, ordered.c.version)
    query = select(*columns).outerjoin(ordered, ordered.c.study == fetches.c.study)
    return list(connection.execute(query))


def _pending(row: Row[Any]) -> _PendingFetch:
    requester = Requester(row.caller, row.purpose, Priority(row.priority), row.detail)
    return _PendingFetch(StudyId(row.study), requester, row.asked, row.version or 0)


def _insert(pending: _PendingFetch, connection: Connection) -> None:
    values = _values(pending)
    note = insert(fetches).values(values)
    connection.execute(note.on_conflict_do_update(index_elements=["study"], set_=values))
    if pending.ordered:
        said = {"study": pending.study.raw, "version": pending.ordered}
        order = insert(ordered).values(said)
        connection.execute(order.on_conflict_do_update(index_elements=["study"], set_=said))


def _delete(study: StudyId, connection: Connection) -> None:
    for table in (fetches, paused, ordered):
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
            fetch = await resume(pending.study, pending.requester, least=pending.ordered)
        except (NotFoundError, AccessError) as error:
            log.warning("unfinished fetch is void", study=pending.study.short, error=str(error))
            return None
        except P2PacsError as error:
            log.info("cannot go on fetching yet", study=pending.study.short, error=str(error))
            if not pending.ordered and time.time() - pending.asked > tuning.patience:
                return None
            await pause.wait(tuning.retry, since)
        else:
            taken = "addressed: fetched" if pending.ordered else "fetch taken up again"
            log.info(taken, study=pending.study.short)
            return fetch


async def _at_end(
    fetch: StudyFetch, pending: _PendingFetch, tuning: PendingFetchesTuning, pause: Pause
) -> bool:
    """Wait until a transfer ends; whether the fetch is over with it.

    One that failed is over if somebody was there to be told; an order is not before all is here.
    """
    while True:
        transfer = fetch.transfer
        await _ended(transfer)
        if _is_complete(fetch, pending.ordered) or (fetch.given_up and not pending.ordered):
            return True
        told = fetch.users > 0 and not pending.ordered
        if not fetch.given_up:
            await pause.wait(tuning.retry, pause.ended)
        if fetch.transfer is transfer:
            return told


def _goes_on(fetch: StudyFetch, pending: _PendingFetch) -> bool:
    """Whether something is still to come."""
    if pending.ordered:
        return not _is_complete(fetch, pending.ordered)
    return fetch.transfer.state is TransferState.FETCHING


def _is_complete(fetch: StudyFetch, least: int) -> bool:
    """Whether all is here, of this version or a newer one."""
    root, state = fetch.transfer.root, fetch.transfer.state
    is_new = least == 0 or (root is not None and root.version >= least)
    return state is TransferState.COMPLETE and is_new


async def _ended(transfer: Transfer) -> None:
    await transfer.watch.until(lambda: transfer.state is not TransferState.FETCHING)
