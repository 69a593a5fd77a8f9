"""What somebody does with a study on its page. Every form has checked its CSRF token before."""

from __future__ import annotations

from functools import partial

from attrs import frozen
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from p2pacs.accounts.sessions import Session
from p2pacs.concurrency.budget import Budget
from p2pacs.errors import NotFoundError, UsageError
from p2pacs.ids import StudyId
from p2pacs.languages import _
from p2pacs.pages.forms import text_of
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.web.numbers import number_of
from peer.pages.search.listing import StudyListing
from peer.pages.sources.page_reads import PageReads, reader_of
from peer.pages.sources.page_sources import ContentParts
from peer.pages.study.image_views import study_of
from peer.pages.study.study_archive import ArchiveAnswer, StudyArchive
from peer.retrieval.study_fetch import StudyFetch


@frozen
class StudyActions:
    """Forms of who may."""

    parts: ContentParts
    listing: StudyListing
    page_reads: PageReads
    budget: Budget

    async def fetch(self, request: Request, session: Session, _form: FormData) -> Response:
        """Have it come, or go on with what was paused."""
        study = study_of(request)
        if study in self.parts.pending.paused:
            await self.parts.pending.resume(study, self.parts.reads.resume)
        else:
            await self._begin(study, session, Priority.INTERACTIVE)
        return _back(study)

    async def stat(self, request: Request, session: Session, _form: FormData) -> Response:
        """Have it come before all others."""
        study = study_of(request)
        await self._begin(study, session, Priority.STAT)
        self.parts.reads.prioritise(study, Priority.STAT)
        await self.parts.pending.prioritised(study, Priority.STAT)
        return _back(study)

    async def _begin(self, study: StudyId, session: Session, priority: Priority) -> StudyFetch:
        record = await self.listing.get(study)
        return await self.parts.reads.open(record.uid, reader_of(session, "fetched", priority))

    async def pause(self, request: Request, session: Session, _form: FormData) -> Response:
        """Let nothing more come until somebody goes on; what is here stays."""
        study = study_of(request)
        self._check_stoppable(fetch := self._under_way(study))
        await self.parts.pending.pause(fetch, reader_of(session, "fetched"))
        return _back(study)

    async def cancel(self, request: Request, _session: Session, _form: FormData) -> Response:
        """Let nothing more come; what is here stays."""
        study = study_of(request)
        if study in self.parts.pending.paused:
            await self.parts.pending.cancel(study)
        else:
            self._check_stoppable(fetch := self._under_way(study))
            await self.parts.pending.cancel(study)
            fetch.give_up()
        return _back(study)

    def _under_way(self, study: StudyId) -> StudyFetch:
        fetch = self.page_reads.known(study)
        if fetch is None or not fetch.fetching:
            raise NotFoundError(_("this study is not being fetched now"))
        return fetch

    def _check_stoppable(self, fetch: StudyFetch) -> None:
        if fetch.users > 1:
            raise UsageError(
                _("a workstation or a download waits for this study: it cannot be stopped here")
            )

    async def pin(self, request: Request, _session: Session, _form: FormData) -> Response:
        """Keep what is here of it when room is needed."""
        return await self._pin(request, pinned=True)

    async def unpin(self, request: Request, _session: Session, _form: FormData) -> Response:
        """Let it go when room is needed."""
        return await self._pin(request, pinned=False)

    async def _pin(self, request: Request, *, pinned: bool) -> Response:
        study = study_of(request)
        await self.listing.get(study)
        if not self.parts.store.holds(study):
            raise NotFoundError(_("nothing of this study is here: fetch it first"))
        (await self.parts.store.study(study)).pin(pinned=pinned)
        return _back(study)

    # ------------------------------------------------------------ elsewhere

    async def send(self, request: Request, session: Session, form: FormData) -> Response:
        """Send it to a workstation of the settings."""
        study = study_of(request)
        record = await self.listing.get(study)
        self.parts.sends.send(study, record.uid, text_of(form, "to"), session.account)
        return _back(study)

    async def cancel_send(self, request: Request, _session: Session, _form: FormData) -> Response:
        """Stop sending; what was sent is there."""
        send = self.parts.sends.get(number_of(request))
        send.cancel()
        return _back(send.study)

    async def archive(self, request: Request, session: Session, _form: FormData) -> Response:
        """All of it as a ZIP file; what is not here yet comes while it is written."""
        study = study_of(request)
        record = await self.listing.get(study)
        fetch, read = await self.parts.reads.open_audited(
            record.uid, reader_of(session, "downloaded")
        )
        archive = StudyArchive(fetch, self.budget, partial(self.parts.reads.end, read))
        return ArchiveAnswer(archive.pieces(), f"study-{study.short}")


def _back(study: StudyId) -> Response:
    """To its page, so that a reload repeats nothing."""
    return RedirectResponse(f"/studies/{study}", status_code=303)
