"""Pages of the studies: finding them, and the page of one.

Every POST has checked its CSRF token before (`p2pacs.pages.door`). A study is named by its id; what
somebody looks for stands in no URL.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from typing import Final

import trio
from attrs import field, frozen
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.database.db import BrokerDatabase
from broker.pages.content import AdminContent
from broker.pages.studies.network_listing import NetworkListing
from broker.pages.studies.publication_words import is_troubled, publication_words
from broker.pages.studies.sent_studies import list_sent
from broker.trail import audit
from broker.trail.search import TrailSearch, read_trail
from p2pacs.accounts.sessions import Session
from p2pacs.catalogue.records import StudyRecord
from p2pacs.errors import LocalError, StudyNotFoundError, UsageError
from p2pacs.ids import StudyId
from p2pacs.languages import _
from p2pacs.pages.forms import sentence
from p2pacs.pages.search.found_studies import FoundStudies, find_studies
from p2pacs.pages.search.saved_searches import SavedSearches
from p2pacs.pages.search.search_form import FIELDS, MODALITIES, SENT, SPANS, StudySearch
from p2pacs.study.manifest import Root
from p2pacs.web.pages import Pages

ENTRIES: Final = 10
"""Of the audit trail on the page of a study."""


@frozen
class NetworkStudyViews:
    """Pages of who is signed in."""

    database: BrokerDatabase
    pages: Pages
    content: AdminContent
    listing: NetworkListing
    searches: SavedSearches[StudySearch] = field(factory=SavedSearches)
    today: Callable[[], date] = lambda: datetime.now().astimezone().date()

    async def studies(self, request: Request, session: Session) -> Response:
        """The newest studies, or what a search found."""
        name = request.query_params.get("search", "")
        saved = self.searches.get(session.account, name) if name else None
        given = request.query_params.get("page", "1")
        place = int(given) if given.isascii() and given.isdigit() and len(given) < 6 else 1
        search = saved or StudySearch(sent=request.query_params.get("sent", ""))
        among = await self.database.run(list_sent) if search.is_sent else None
        catalogue, today = self.content.catalogue, self.today()
        found = await find_studies(catalogue, search, place, today, among=among)
        return await self._list(request, session, search, found, name if saved else "")

    async def search(self, request: Request, session: Session, form: FormData) -> Response:
        """Remember what is looked for, and go on to what was found."""
        given = {name: value for name in FIELDS if isinstance(value := form.get(name), str)}
        search = StudySearch.of(given)
        try:
            search.keys(self.today())
        except UsageError as error:
            nothing = FoundStudies([], 1, more=False)
            wrong = sentence(str(error))
            return await self._list(request, session, search, nothing, "", wrong=wrong)
        if not search.is_typed:
            of = f"?sent={SENT}" if search.is_sent else ""
            return RedirectResponse(f"/studies{of}", status_code=303)
        name = self.searches.save(session.account, search)
        return RedirectResponse(f"/studies?search={name}", status_code=303)

    async def _list(
        self,
        request: Request,
        session: Session,
        search: StudySearch,
        found: FoundStudies,
        name: str,
        *,
        wrong: str = "",
    ) -> Response:
        def link(number: int) -> str:
            of = f"&search={name}" if name else f"&sent={SENT}" if search.is_sent else ""
            return f"/studies?page={number}{of}"

        rows = await self.listing.rows(found.records)
        return self.pages.page(
            request,
            "studies.html",
            status=400 if wrong else 200,
            session=session,
            search=search,
            searched=bool(name) or bool(wrong),
            spans=[(value, words) for value, (words, _days) in SPANS.items()],
            modalities=MODALITIES,
            rows=rows,
            page=found,
            link=link,
            wrong=wrong,
        )

    async def study(self, request: Request, session: Session) -> Response:
        """One study: where it is, its versions, its publication, and who asked for it."""
        record = await self._record(request)
        (row,) = await self.listing.rows([record])
        search = TrailSearch(study=record.study)
        trail = await self.database.run(partial(read_trail, search=search, most=ENTRIES))
        progress = row.progress
        return self.pages.page(
            request,
            "study.html",
            session=session,
            row=row,
            root=await self._root(record.study),
            told=None if progress is None else publication_words(progress),
            troubled=progress is not None and is_troubled(progress),
            running=progress is not None and not progress.over,
            entries=trail.entries,
            more=trail.next is not None,
        )

    async def publish(self, request: Request, session: Session, _form: FormData) -> Response:
        """Have it published, or read from the PACS and compared anew."""
        record = await self._record(request)
        entry = audit.Entry(
            "publication asked for", session.account, study=record.study, uid=record.uid
        )
        await self.database.run(lambda c: audit.record(c, entry))
        self.content.studies.publish(record.uid)
        return RedirectResponse(f"/studies/{record.study}", status_code=303)

    async def _record(self, request: Request) -> StudyRecord:
        study = study_of(request)
        record = await trio.to_thread.run_sync(self.content.catalogue.get, study)
        if record is None:
            raise StudyNotFoundError(_("there is no such study in the catalogue (any more)"))
        return record

    async def _root(self, study: StudyId) -> Root | None:
        try:
            return await self.content.studies.root(study)
        except LocalError:
            return None  # the page of health says what is wrong with the store


def study_of(request: Request) -> StudyId:
    """The study that a path names.

    Raises:
        HTTPException: 404: no study has such an id.
    """
    try:
        return StudyId.parse(request.path_params["study"])
    except UsageError as error:
        raise HTTPException(404, _("There is no such study.")) from error
