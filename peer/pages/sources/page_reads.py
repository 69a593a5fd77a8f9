"""Studies that people look at on the pages: the right to, and the audit, which names the person."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable

import trio
from attrs import frozen

from p2pacs.accounts.rows import Rows
from p2pacs.accounts.sessions import Session
from p2pacs.catalogue.records import StudyRecord
from p2pacs.errors import NotFoundError
from p2pacs.ids import StudyId
from p2pacs.languages import _
from p2pacs.swarm.scheduling.priority import Priority
from peer.pages.search.held_parts import HeldParts
from peer.retrieval.audit import AuditQueue
from peer.retrieval.frame_reads import FrameReads
from peer.retrieval.reader import StudyReads
from peer.retrieval.requester import Requester
from peer.retrieval.study_fetch import StudyFetch


@frozen
class PageReadTuning:
    """What `PageReads` goes by."""

    told: float = 900.0
    """Seconds after which the audit has another entry of somebody who goes on looking at a
    study: a page asks for dozens of pictures."""

    remembered: int = 512
    """Studies and people of which this is known."""


class PageReads:
    """Opens what pages show of the inside of studies; never fetches what is not here."""

    def __init__(
        self,
        reads: StudyReads,
        held: HeldParts,
        audit: AuditQueue,
        record: Callable[[StudyId], Awaitable[StudyRecord]],
        tuning: PageReadTuning | None = None,
    ) -> None:
        """Nobody has looked at anything yet.

        Args:
            reads: opens studies.
            held: what is here.
            audit: who looks at what.
            record: of a study, as long as this member may know of it (`StudyListing.get`).
            tuning: how often the audit is told.
        """
        self.frames = FrameReads()
        """Where the frames of instances lie."""
        self._reads = reads
        self._held = held
        self._audit = audit
        self._record = record
        self._tuning = tuning or PageReadTuning()
        self._told: OrderedDict[tuple[StudyId, str], float] = OrderedDict()
        self._rows = Rows()

    def known(self, study: StudyId) -> StudyFetch | None:
        """A study whose index is in memory."""
        return next((one for one in self._reads.fetches if one.study == study), None)

    async def index(self, study: StudyId, session: Session) -> StudyFetch | None:
        """A study with its index as far as it is here; None if nothing is. Nothing of a patient's
        images is read for that, so the audit is not told.

        Raises:
            StudyNotFoundError: it is not, or no more, in the catalogue here.
            RevokedError: this member was revoked.
            P2PacsError: it cannot be read.
        """
        record = await self._record(study)
        async with self._rows.first(study):
            fetch = self.known(study) or await self._open(record, session)
        if fetch is not None:
            await fetch.refresh()
        return fetch

    async def _open(self, record: StudyRecord, session: Session) -> StudyFetch | None:
        """One that is here in whole: nobody is asked, unless for its key."""
        held = await self._held.of(record.study)
        if held is None or not held.whole:
            return None
        found = await self._reads.held(record)
        return found or await self._reads.resume(record.study, reader_of(session, "looked at"))

    async def open(self, study: StudyId, session: Session) -> StudyFetch:
        """A study to look at.

        Raises:
            NotFoundError: nothing of it is here that could be shown.
            RevokedError: this member was revoked.
            P2PacsError: it cannot be read, or that cannot be audited.
        """
        fetch = await self.index(study, session)
        if fetch is None:
            raise NotFoundError(_("nothing of this study can be shown: fetch it first"))
        async with self._rows.first(study):
            now, key = trio.current_time(), (study, session.account)
            if now >= self._told.get(key, -1.0):
                requester = reader_of(session, "looked at")
                await self._audit.record(study, caller=requester.caller, purpose=requester.audited)
                self._told[key] = now + self._tuning.told
                self._told.move_to_end(key)
                if len(self._told) > self._tuning.remembered:
                    self._told.popitem(last=False)
        return fetch


def reader_of(session: Session, what: str, priority: Priority = Priority.INTERACTIVE) -> Requester:
    """Who reads, for the audit: the person, and what for."""
    return Requester.of_person(session.account, what, priority)
