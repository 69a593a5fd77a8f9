"""The page of the studies that are sent from here, and what somebody does about one."""

from __future__ import annotations

import time

from attrs import frozen
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from p2pacs.accounts.sessions import Session
from p2pacs.dataset.json_model import text
from p2pacs.errors import NotFoundError, P2PacsError, UsageError
from p2pacs.ids import StudyId
from p2pacs.languages import _
from p2pacs.output.json_object import JsonObject
from p2pacs.pages import words
from p2pacs.pages.forms import see, sentence, text_of
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.texts import clean
from p2pacs.web.numbers import number_of
from p2pacs.web.pages import Pages
from peer.accounts.rights import UserRight
from peer.ingest.outgoing_desk import OutgoingDesk
from peer.ingest.outgoing_state import OutgoingStudy
from peer.pages.live.sent_state import SHOWN
from peer.pages.live.sent_words import attention_words, sent_words
from peer.pages.sources.page_sources import PageSources


@frozen
class ShownSent:
    """A study on the page."""

    number: int
    told: JsonObject
    title: str
    """The patient and the study for who may search, else what it is called in logs."""
    callers: str
    study: StudyId | None
    link: bool


@frozen
class SentViews:
    """Pages of who may see what moves, and forms of who may do something about it."""

    pages: Pages
    sources: PageSources

    @property
    def _desk(self) -> OutgoingDesk:
        if (desk := self.sources.parts.sent) is None:
            raise NotFoundError(_("no study of this number is sent from here"))
        return desk

    async def all_sent(self, request: Request, session: Session) -> Response:
        """All studies that are sent, and the last ones that were."""
        parts = self.sources.parts
        found = [] if parts.sent is None else await parts.sent.list_studies(SHOWN)
        return self.pages.page(
            request,
            "sent.html",
            session=session,
            live="/live/sent",
            studies=[await self._shown(one, session) for one in found[:SHOWN]],
            attention=attention_words(found),
            enabled=parts.settings.sending.enabled,
            aet=parts.settings.aet,
        )

    async def card(self, request: Request, session: Session) -> Response:
        """One study as the page of all shows it, for a page that is open already."""
        one = await self._shown(await self._desk.get(number_of(request)), session)
        return self.pages.page(request, "sent_one.html", session=session, one=one)

    async def retry(self, request: Request, session: Session, _form: FormData) -> Response:
        """Send it (again) now."""
        await self._desk.retry(number_of(request), session.account)
        return see("/sent")

    async def cancel(self, request: Request, session: Session, _form: FormData) -> Response:
        """Send nothing more of it."""
        await self._desk.cancel(number_of(request), session.account)
        return see("/sent")

    async def remove(self, request: Request, session: Session, _form: FormData) -> Response:
        """Remove what lies here of it and was not sent."""
        await self._desk.remove(number_of(request), session.account)
        return see("/sent")

    async def address(self, request: Request, session: Session) -> Response:
        """To whom it goes, to be changed."""
        return await self._address(request, session)

    async def readdress(self, request: Request, session: Session, form: FormData) -> Response:
        """Have it go to these."""
        names = [name for name in form.getlist("to") if isinstance(name, str)]
        priority = Priority.STAT if text_of(form, "priority") == "stat" else Priority.INTERACTIVE
        try:
            await self._desk.address(number_of(request), names, priority, session.account)
        except UsageError as error:
            return await self._address(request, session, wrong=error)
        return see("/sent")

    async def _address(
        self, request: Request, session: Session, *, wrong: UsageError | None = None
    ) -> Response:
        told = await self._desk.get(number_of(request))
        address = told.address
        return self.pages.page(
            request,
            "sent_address.html",
            status=wrong.http_status if wrong else 200,
            session=session,
            one=await self._shown(told, session),
            members=[one.name for one in self._desk.addressing.readers()],
            chosen={one.name for one in address.recipients},
            stat=address.is_stat,
            wrong=sentence(str(wrong)) if wrong else "",
        )

    async def _shown(self, one: OutgoingStudy, session: Session) -> ShownSent:
        title, link = _("Study %(name)s", name=one.number), False
        if session.may(UserRight.SEARCH):
            told_of = await self._desk.attributes(one)
            who = words.person(text(told_of, "PatientName")) or _("No name")
            when = words.day(text(told_of, "StudyDate"))
            what = clean(text(told_of, "StudyDescription"))
            title = ", ".join(part for part in (who, what, when) if part)
            link = one.study is not None and await self._is_listed(one.study)
        told = sent_words(one, time.time())
        return ShownSent(one.number, told, title, clean(", ".join(one.callers)), one.study, link)

    async def _is_listed(self, study: StudyId) -> bool:
        try:
            await self.sources.listing.get(study)
        except P2PacsError:
            return False  # not yet, or it may not be read any more
        return True
