"""Studies that people look at on the pages: the right to, and the audit, which names the person."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import trio
from attrs import frozen

from p2pacs.accounts.sessions import Session
from p2pacs.errors import NotFoundError
from p2pacs.ids import StudyId
from p2pacs.swarm.scheduling.priority import Priority
from peer.pages.held_parts import HeldParts
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
        check_membership: Callable[[], None],
        tuning: PageReadTuning | None = None,
    ) -> None:
        """Nobody has looked at anything yet.

        Args:
            reads: opens studies.
            held: what is here.
            audit: who looks at what.
            check_membership: raises a RevokedError where this member was revoked.
            tuning: how often the audit is told.
        """
        self.frames = FrameReads()
        """Where the frames of instances lie."""
        self._reads = reads
        self._held = held
        self._audit = audit
        self._check_membership = check_membership
        self._tuning = tuning or PageReadTuning()
        self._told: OrderedDict[tuple[StudyId, str], float] = OrderedDict()
        self._one = trio.Lock()

    def known(self, study: StudyId) -> StudyFetch | None:
        """A study whose index is in memory."""
        return next((one for one in self._reads.fetches if one.study == study), None)

    async def index(self, study: StudyId, session: Session) -> StudyFetch | None:
        """A study with its index as far as it is here; None if nothing is. Nothing of a patient's
        images is read for that, so the audit is not told.

        Raises:
            P2PacsError: it cannot be read.
        """
        self._check_membership()
        async with self._one:
            fetch = self.known(study)
            if fetch is None:
                held = await self._held.of(study)
                if held is None or not held.whole:
                    return None
                fetch = await self._reads.resume(study, reader_of(session, "looked at"))
        await fetch.refresh()
        return fetch

    async def open(self, study: StudyId, session: Session) -> StudyFetch:
        """A study to look at.

        Raises:
            NotFoundError: nothing of it is here that could be shown.
            RevokedError: this member was revoked.
            P2PacsError: it cannot be read, or that cannot be audited.
        """
        fetch = await self.index(study, session)
        if fetch is None:
            raise NotFoundError("nothing of this study can be shown: fetch it first")
        async with self._one:
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
