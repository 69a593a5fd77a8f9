"""Finding studies, and the page of one: where it is, its series, its images."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from typing import Final

import trio
from attrs import field, frozen
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from p2pacs.accounts.sessions import Session
from p2pacs.catalogue.records import StudyRecord
from p2pacs.errors import P2PacsError, UsageError
from p2pacs.ids import StudyId
from p2pacs.languages import N_
from p2pacs.output.json_object import JsonObject
from p2pacs.pages.forms import sentence
from p2pacs.pages.search.found_studies import PAGE
from p2pacs.pages.search.saved_searches import SavedSearches
from p2pacs.pages.search.search_form import FIELDS, MODALITIES, SPANS, StudySearch
from p2pacs.pages.search.search_form import SENT as SENT_HERE
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.texts import clean
from p2pacs.web.numbers import whole_number
from p2pacs.web.pages import Pages
from peer.pages.live.live_state import send_words
from peer.pages.live.study_levels import StudyLevels
from peer.pages.search.listing import StudyPage
from peer.pages.search.sender_words import unread_words
from peer.pages.sources.page_sources import PageSources
from peer.pages.study.image_views import study_of
from peer.pages.study.series_list import ShownSeries, images_of, shown_series
from peer.pages.study.viewer_views import AHEAD, WayToViewer
from peer.retrieval.instances.fetch_order import in_order
from peer.retrieval.study_fetch import StudyFetch

SENT: Final = 5
"""Sends of a study on its page."""

WINDOWS: Final = (
    ("", N_("As the image says")),
    ("40,400", N_("Soft tissue")),
    ("-600,1500", N_("Lung")),
    ("400,1800", N_("Bone")),
    ("40,80", N_("Brain")),
    ("60,160", N_("Liver")),
    ("300,600", N_("Vessels")),
)
"""Centre and width in Hounsfield units; for CT."""


@frozen
class ShownSend:
    """A send on a page."""

    number: int
    told: JsonObject


@frozen
class StudyViews:
    """Pages of who may search."""

    pages: Pages
    sources: PageSources
    viewer: WayToViewer
    searches: SavedSearches[StudySearch] = field(factory=SavedSearches)
    today: Callable[[], date] = lambda: datetime.now().astimezone().date()

    # ------------------------------------------------------------ the list

    async def studies(self, request: Request, session: Session) -> Response:
        """The newest studies, or what a search found."""
        name = request.query_params.get("search", "")
        saved = self.searches.get(session.account, name) if name else None
        given = whole_number(request.query_params.get("page", "1"))
        number = 1 if given is None else given
        search = saved or StudySearch(sent=request.query_params.get("sent", ""))
        found = await self.sources.listing.find(search, number, self.today())
        return await self._list(request, session, search, found, name if saved else "")

    async def search(self, request: Request, session: Session, form: FormData) -> Response:
        """Remember what is looked for, and go on to what was found: nothing of it is in a URL."""
        given = {name: value for name in FIELDS if isinstance(value := form.get(name), str)}
        search = StudySearch.of(given)
        try:
            search.keys(self.today())
        except UsageError as error:
            nothing = StudyPage([], 1, more=False)
            wrong = sentence(str(error))
            return await self._list(request, session, search, nothing, "", wrong=wrong)
        if not search.is_typed:
            return RedirectResponse(f"/studies{_sent(search, '?')}", status_code=303)
        name = self.searches.save(session.account, search)
        return RedirectResponse(f"/studies?search={name}", status_code=303)

    async def _list(
        self,
        request: Request,
        session: Session,
        search: StudySearch,
        page: StudyPage,
        name: str,
        *,
        wrong: str = "",
    ) -> Response:
        def link(number: int) -> str:
            of = f"&search={name}" if name else _sent(search, "&")
            return f"/studies?page={number}{of}"

        return self.pages.page(
            request,
            "studies.html",
            status=400 if wrong else 200,
            session=session,
            live="/live/transfers",
            search=search,
            searched=bool(name) or bool(wrong),
            spans=[(value, words) for value, (words, _days) in SPANS.items()],
            modalities=MODALITIES,
            page=page,
            unread=unread_words(await self.sources.listing.sent.unread()),
            per_page=PAGE,
            link=link,
            wrong=wrong,
        )

    # ------------------------------------------------------------ one study

    async def study(self, request: Request, session: Session) -> Response:
        """One study."""
        study = study_of(request)
        record = await self.sources.listing.get(study)
        row = await self.sources.listing.row(record)
        fetch = await self._index(study, session)
        shown = partial(_shown, record, fetch)
        transfer = self.sources.parts.transfers.get(study)
        link = self.viewer.link(request, session, record.uid)
        response = self.pages.page(
            request,
            "study.html",
            session=session,
            viewer=link,
            ahead=AHEAD,
            live=f"/live/studies/{study}",
            row=row,
            transfer=None if transfer is None else self._worded(transfer),
            shown=await trio.to_thread.run_sync(shown),
            destinations=self.sources.parts.sends.destinations,
            sends=self._sends(study),
            held_by=self._holders(transfer),
        )
        if link is not None:
            await self.viewer.let_in(request, response)
        return response

    async def _index(self, study: StudyId, session: Session) -> StudyFetch | None:
        """The study with what is known of its images; None if it cannot be read now: where it is
        says why."""
        try:
            return await self.sources.reads.index(study, session)
        except P2PacsError:
            return None

    def _worded(self, transfer: Transfer) -> JsonObject:
        told = self.sources.parts.activity.transfer(transfer, 32)
        return self.sources.state.transfer(told)

    def _sends(self, study: StudyId) -> list[ShownSend]:
        found = [one for one in self.sources.parts.sends.all if one.study == study]
        return [ShownSend(one.number, send_words(one)) for one in found[:SENT]]

    def _holders(self, transfer: Transfer | None) -> list[str]:
        """Who is known to hold it, or to fetch it too."""
        directory = self.sources.parts.book.directory
        found = [] if transfer is None else [directory.get(one) for one in transfer.holders]
        return sorted(clean(one.name) for one in found if one is not None)

    # ------------------------------------------------------------ its images

    async def look(self, request: Request, session: Session) -> Response:
        """The images of a series, one after the other."""
        study = study_of(request)
        record = await self.sources.listing.get(study)
        row = await self.sources.listing.row(record)
        fetch = await self.sources.reads.open(study, session)
        given = request.query_params
        place = whole_number(given.get("series", "1"))
        series = next((one for one in in_order(fetch.known) if one[0].series == place), [])
        images = await trio.to_thread.run_sync(images_of, series)
        current = whole_number(given.get("image", "")) or 0
        window = given.get("window", "")
        of_ct = "CT" in row.modalities.split()
        windows = WINDOWS if of_ct else WINDOWS[:1]
        others = shown_series(record.series, list(fetch.known), "", {}, pictures=0)
        return self.pages.page(
            request,
            "look.html",
            session=session,
            live="",
            row=row,
            series=place,
            images=images,
            current=min(current or (len(images) + 1) // 2, len(images)) or 1,
            windows=windows,
            window=window if window in dict(windows) else "",
            growing=not fetch.settled,
            others=[one for one in others if one.place not in (0, place)],
        )


def _sent(search: StudySearch, before: str) -> str:
    """What says in an address that only studies that were sent here are listed."""
    return f"{before}sent={SENT_HERE}" if search.is_sent else ""


def _shown(record: StudyRecord, fetch: StudyFetch | None) -> list[ShownSeries]:
    """The series of a study; in a worker thread, as there may be thousands of images."""
    if fetch is None:
        return shown_series(record.series, (), "", {})
    levels, known = StudyLevels(), list(fetch.known)
    levels.look(known, fetch.transfer.have)
    told = levels.told()
    return shown_series(record.series, known, told["levels"], told["series"], settled=fetch.settled)
