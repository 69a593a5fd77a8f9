"""Requests for Storage Commitment are kept, followed and reported on, over days if need be."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

import structlog
import trio
from attrs import evolve, frozen
from sqlalchemy import Connection

from p2pacs.concurrency.signals import Bell
from p2pacs.concurrency.tasks import Tasks
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.client.commitment import report_commitment
from p2pacs.dimse.commitment import CommitmentReport, CommitmentRequest
from p2pacs.dimse.server.commitment import CommitmentService
from p2pacs.errors import DeadlineError, ForbiddenError, LocalError, PacsError
from peer.commitment.copied_studies import CopiedStudies
from peer.commitment.requests import (
    MILLISECONDS,
    RequestKey,
    WaitingRequest,
    drop_request,
    find_request,
    keep_request,
    list_requests,
)
from peer.commitment.states import note_states, states_of
from peer.commitment.verdict import Verdict, judge
from peer.db import PeerDatabase
from peer.spool.records import StudyCommitment
from peer.spool.spool import Spool

log = structlog.get_logger(__name__)

DAY: Final = 24 * 3600.0

ASKED: Final = "Storage Commitment asked"
ANSWERED: Final = "Storage Commitment answered"
GIVEN_UP: Final = "Storage Commitment not answered"
"""What the trail calls it."""


class Note(Protocol):
    """Writes a line into the trail (`peer.accounts.trail.note`)."""

    def __call__(self, connection: Connection, actor: str, what: str, detail: str = "") -> None:
        """In the transaction of what it tells of."""


@frozen
class CommitmentTuning:
    """How requests are followed and answered; seconds."""

    patience: float = 7 * DAY
    """From a request until what is not safe by then is told to have failed; and the same again
    until who could not be told is told no more."""
    first: float = 1.0
    """Before the first look; each pause is twice as long as the one before ..."""
    look: float = 60.0
    """... up to this, while something is on its way ..."""
    retry: float = 3600.0
    """... or this, while who asked does not take the report."""
    parallel: int = 4
    """Reports at once."""


class Commitments:
    """The requests of one peer. `run` must be running."""

    def __init__(
        self,
        database: PeerDatabase,
        spool: Spool,
        copies: CopiedStudies,
        *,
        aet: str,
        destinations: Mapping[str, DimseRemote],
        note: Note,
        callers: Collection[str] = (),
        tuning: CommitmentTuning = CommitmentTuning(),
    ) -> None:
        """To be made inside the trio run.

        Args:
            database: keeps them.
            spool: knows what came, and how far it is.
            copies: knows what is safe, though the PACS has it not.
            aet: our AE title.
            destinations: where to report to an AE title whose association has ended.
            note: writes who asked, and what was answered, into the trail.
            callers: AE titles that may ask; none: all.
            tuning: pauses.
        """
        self.tuning = tuning
        """Of what begins from now on."""
        self.service = CommitmentService(self.take)
        """What servers take requests by."""
        self._database = database
        self._spool = spool
        self._copies = copies
        self._aet = aet
        self._destinations = destinations
        self._note = note
        self._callers = frozenset(callers)
        self._token = trio.lowlevel.current_trio_token()
        self._tasks = Tasks()
        self._bells: dict[RequestKey, Bell] = {}
        self._reports = trio.CapacityLimiter(tuning.parallel)

    def take(self, request: CommitmentRequest, caller: str) -> None:
        """Keep a request; returns when it survives a power cut. In any other thread.

        Raises:
            ForbiddenError: the caller may not store here.
            UsageError: its Transaction UID is in use.
            BusyError: too many wait.
            LocalError: it cannot be written.
        """
        if self._callers and caller not in self._callers:
            raise ForbiddenError(f"{caller} may not ask: name it in sending.callers")
        self._database.transact(partial(self._keep, request=request, caller=caller))
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._came, RequestKey(caller, request.transaction))

    def _keep(self, connection: Connection, request: CommitmentRequest, caller: str) -> None:
        now = int(time.time() * MILLISECONDS)
        if keep_request(connection, request, caller, now):
            asked = f"{len(request.references)} instances"
            self._note(connection, caller, ASKED, asked)

    def _came(self, key: RequestKey) -> None:
        if (bell := self._bells.get(key)) is not None:
            bell.ring()  # who asks again may be reported to now
        elif self._tasks.start(self._follow, key):
            self._bells[key] = Bell()

    async def run(self) -> None:
        """Follow and report until cancelled, beginning with what waited before."""
        waiting = await self._database.persist(list_requests)
        async with self._tasks.open():
            for key in waiting:
                self._came(key)
            await trio.sleep_forever()

    async def _follow(self, key: RequestKey) -> None:
        tuning, bell = self.tuning, self._bells[key]
        pause, tries, noted = tuning.first, 0, dict[str, StudyCommitment]()
        try:
            while True:
                with trio.move_on_after(pause):
                    await bell.wait()
                    await trio.sleep(tuning.first)
                request = await self._database.persist(partial(find_request, key=key))
                if request is None:
                    return
                verdict, states = await self._look(request)
                if states != noted:
                    await self._database.persist(partial(note_states, states=states))
                    noted = states
                if verdict is None or (verdict.waiting and self._age(request) < 1):
                    pause = min(2 * pause, tuning.look)
                    continue
                report = verdict.report(request.key.transaction)
                taken = await self._report(key.caller, report)
                if taken or self._age(request) > 2:
                    over = partial(self._over, request, report, states, taken=taken)
                    await self._database.persist(over)
                    return
                tries += 1
                pause = min(tuning.first * 2.0**tries, tuning.retry)
        finally:
            del self._bells[key]

    def _age(self, request: WaitingRequest) -> float:
        """How long ago it came, in patiences."""
        return (time.time() - request.asked / MILLISECONDS) / self.tuning.patience

    def _over(
        self,
        request: WaitingRequest,
        report: CommitmentReport,
        states: Mapping[str, StudyCommitment],
        connection: Connection,
        *,
        taken: bool,
    ) -> None:
        """Who asked was told of these studies, or is told no more; with what, is audited."""
        now = int(time.time() * MILLISECONDS)
        if taken:
            note_states(connection, {of: evolve(one, answered=now) for of, one in states.items()})
        drop_request(connection, request.key)
        said = f"{len(report.committed)} safe, {len(report.failed)} failed"
        what = ANSWERED if taken else GIVEN_UP
        self._note(connection, request.key.caller, what, said)

    async def _look(
        self, request: WaitingRequest
    ) -> tuple[Verdict | None, dict[str, StudyCommitment]]:
        """What is known of what is asked for; None if that cannot be seen now."""
        uids = {one.uid for one in request.references}
        try:
            find = partial(self._spool.index.find_progress, uids)
            known = list(await trio.to_thread.run_sync(find))
        except LocalError as error:
            log.warning("cannot see what is safe", why=str(error))
            return None, {}
        await self._copies.look(known)
        verdict = await trio.to_thread.run_sync(
            judge, request.references, known, self._copies.is_safe
        )
        return verdict, states_of(request, verdict, known)

    async def _report(self, caller: str, report: CommitmentReport) -> bool:
        """Report over the association of the request, or over a new one; whether it was taken."""
        over_it = partial(self.service.report, caller, report)
        taken = await trio.to_thread.run_sync(over_it, limiter=self._reports)
        remote = self._destinations.get(caller)
        if not taken and remote is None:
            log.warning(
                "Storage Commitment cannot be reported: name its address in gateway.destinations",
                caller=caller,
            )
            return False
        if not taken and remote is not None:
            try:
                async with self._reports:
                    await report_commitment(remote, self._aet, report)
            except (PacsError, DeadlineError) as error:
                log.warning("Storage Commitment is not reported yet", why=str(error))
                return False
        log.info(
            "Storage Commitment reported",
            caller=caller,
            committed=len(report.committed),
            failed=len(report.failed),
        )
        return True
