"""The page of what moves: studies on their way here, and from here to workstations."""

from __future__ import annotations

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from p2pacs.accounts.sessions import Session
from p2pacs.dataset.json_model import text
from p2pacs.errors import NotFoundError, P2PacsError
from p2pacs.ids import StudyId
from p2pacs.languages import _
from p2pacs.output.json_object import JsonObject
from p2pacs.pages import words
from p2pacs.texts import clean
from p2pacs.web.pages import Pages
from peer.accounts.rights import UserRight
from peer.pages.live.live_state import send_words
from peer.pages.search.sender_words import ShownSender
from peer.pages.sources.page_sources import PageSources
from peer.pages.study.image_views import study_of
from peer.pages.study.study_views import ShownSend


@frozen
class ShownTransfer:
    """A transfer on a page."""

    told: JsonObject
    title: str
    """The patient and the study for who may search, else the study's short id."""
    link: bool
    sender: ShownSender | None
    """Who sent it to this hospital."""


@frozen
class TransferViews:
    """Pages of who may see what moves."""

    pages: Pages
    sources: PageSources

    async def all_transfers(self, request: Request, session: Session) -> Response:
        """Studies on their way here, and from here to workstations."""
        await self.sources.parts.activity.settle()
        # All at once: what is shown may be recycled while the next one is looked up.
        said = [self.sources.state.transfer(one) for one in self.sources.state.event()["transfers"]]
        shown = [await self._shown(one, session) for one in said]
        return self.pages.page(
            request,
            "transfers.html",
            session=session,
            live="/live/transfers",
            transfers=shown,
            sends=[ShownSend(one.number, send_words(one)) for one in self.sources.parts.sends.all],
        )

    async def card(self, request: Request, session: Session) -> Response:
        """One transfer as the page of all shows it, for a page that is open already."""
        transfer = self.sources.parts.transfers.get(study_of(request))
        if transfer is None:
            raise NotFoundError(_("there is no such transfer"))
        said = self.sources.state.transfer(self.sources.parts.activity.transfer(transfer, 32))
        shown = await self._shown(said, session)
        return self.pages.page(
            request,
            "card.html",
            session=session,
            told=shown.told,
            title=shown.title,
            link=shown.link,
            sender=shown.sender,
        )

    async def _shown(self, said: JsonObject, session: Session) -> ShownTransfer:
        study = StudyId.parse(said["study"])
        title, link = _("Study %(name)s", name=study.short), False
        if session.may(UserRight.SEARCH):
            try:
                record = await self.sources.listing.get(study)
            except P2PacsError:
                record = None  # it has left the catalogue, or may not be read any more
            if record is not None:
                told_of = record.attributes
                who = words.person(text(told_of, "PatientName")) or _("No name")
                when = words.day(text(told_of, "StudyDate"))
                what = clean(text(told_of, "StudyDescription"))
                title, link = ", ".join(part for part in (who, what, when) if part), True
        sender = (await self.sources.listing.sent.of([study])).get(study)
        return ShownTransfer(said, title, link, sender)
