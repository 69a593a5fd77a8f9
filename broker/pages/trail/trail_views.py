"""The pages of the audit trail: searched, page by page, and exported.

Every POST has checked its CSRF token before (`p2pacs.pages.door`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import Final

from attrs import field, frozen
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.database.db import BrokerDatabase
from broker.pages.trail.trail_form import TrailForm, read_trail_form
from broker.pages.trail.trail_words import OUTCOMES, WHATS
from broker.trail import audit
from broker.trail.audit import Entry
from broker.trail.search import PAGE, TrailPage, TrailPlace, TrailSearch, read_trail
from p2pacs.accounts.sessions import Session
from p2pacs.errors import NotFoundError
from p2pacs.languages import said
from p2pacs.pages.csv_answer import CsvAnswer, csv_lines
from p2pacs.pages.forms import sentence, text_of
from p2pacs.pages.search.saved_searches import SavedSearches
from p2pacs.web.pages import Pages

BATCH: Final = 1000
"""Entries that are read at once for an export: what is in memory is bounded by them."""

HEADINGS: Final = (
    "Time (UTC)", "Who", "Virtual address", "What", "Person", "Detail", "Study", "Outcome"
)  # fmt: skip

_IN_URLS: Final = ("study", "member", "what", "outcome")
"""What links of ours may ask for; a UID or a person must not stand in a URL."""


@frozen
class TrailViews:
    """The trail and its search, for somebody who is signed in."""

    database: BrokerDatabase
    pages: Pages
    searches: SavedSearches[TrailForm] = field(factory=SavedSearches)

    async def trail(self, request: Request, session: Session) -> Response:
        """The newest entries, or what a search found."""
        given = request.query_params
        name = given.get("search", "")
        form = self.searches.get(session.account, name) if name else None
        if form is None:
            asked = {key: given[key] for key in _IN_URLS if given.get(key)}
            form = read_trail_form(asked)
            name = self.searches.save(session.account, form) if asked and not form.wrong else ""
        after = TrailPlace.parse(given["after"]) if given.get("after") else None
        return await self._show(request, session, form, name, after)

    async def search(self, request: Request, session: Session, form: FormData) -> Response:
        """Remember what is looked for, and go on to what was found: nothing of it is in a URL."""
        filled = read_trail_form(form)
        if filled.wrong:
            return await self._show(request, session, filled)
        if filled.search.is_empty:
            return RedirectResponse("/audit", status_code=303)
        name = self.searches.save(session.account, filled)
        return RedirectResponse(f"/audit?search={name}", status_code=303)

    async def export(self, _request: Request, session: Session, form: FormData) -> Response:
        """All that a search finds, as a CSV file; the trail tells who took it."""
        filled = self.searches.get(session.account, text_of(form, "search"))
        search = filled.search if filled else TrailSearch()
        await self.database.run(partial(read_trail, search=search, most=1))  # or it says why not
        entry = Entry(
            "audit exported",
            session.account,
            detail="all of it" if search.is_empty else "what a search found",
        )
        await self.database.run(lambda c: audit.record(c, entry))
        return CsvAnswer(self._lines(search), "audit.csv")

    async def _lines(self, search: TrailSearch) -> AsyncGenerator[bytes, None]:
        yield csv_lines([HEADINGS])
        after: TrailPlace | None = None
        while True:
            read = partial(read_trail, search=search, after=after, most=BATCH)
            page = await self.database.run(read)
            yield csv_lines([_cells(entry) for entry in page.entries])
            after = page.next
            if after is None:
                return

    async def _show(
        self,
        request: Request,
        session: Session,
        form: TrailForm,
        name: str = "",
        after: TrailPlace | None = None,
    ) -> Response:
        wrong, status = dict(form.wrong), 400 if form.wrong else 200
        page = TrailPage([], None)
        if not wrong:
            try:
                page = await self.database.run(partial(read_trail, search=form.search, after=after))
            except NotFoundError as error:
                wrong["member"], status = sentence(str(error)), 404
        return self.pages.page(
            request,
            "audit.html",
            status=status,
            session=session,
            form=form.values,
            wrong=wrong,
            searched=bool(form.wrong) or not form.search.is_empty,
            search=name,
            entries=page.entries,
            after=after,
            next=page.next,
            most=PAGE,
            whats=sorted(WHATS.items(), key=lambda one: said(one[1])),
            outcomes=OUTCOMES.items(),
        )


def _cells(entry: Entry) -> tuple[str, ...]:
    return (
        entry.when,
        entry.actor,
        "" if entry.address is None else str(entry.address),
        WHATS.get(entry.what, entry.what),
        entry.person,
        entry.detail,
        entry.uid or ("" if entry.study is None else str(entry.study)),
        OUTCOMES.get(entry.outcome, entry.outcome),
    )
