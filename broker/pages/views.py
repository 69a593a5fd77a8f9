"""Pages of all members, of registering one, and of the audit trail.

Every POST has checked its CSRF token before (`p2pacs.pages.door`).
"""

from __future__ import annotations

from attrs import evolve, frozen
from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.database.db import BrokerDatabase, now
from broker.database.pacs_state import PacsState, pacs_words, read_pacs
from broker.members import audit, registry
from broker.members.admin_actions import AdminActions
from broker.pages.forms import BLANK, Filled, read_registration, wrong_by_field
from broker.pages.shown_tokens import ShownTokens
from p2pacs.accounts.sessions import Session
from p2pacs.errors import NotFoundError, StudyNotFoundError, UsageError
from p2pacs.pages.forms import sentence, text_of
from p2pacs.web.pages import Pages

_ENTRIES = 200
"""Entries of the audit trail on one page."""


@frozen
class Views:
    """The pages of somebody who is signed in."""

    database: BrokerDatabase
    actions: AdminActions
    pages: Pages
    tokens: ShownTokens

    async def members(self, request: Request, session: Session) -> Response:
        """All members, and how the PACS is."""

        def work(connection: Connection) -> tuple[list[registry.Member], PacsState]:
            return registry.list_members(connection), read_pacs(connection, self.actions.broker)

        members, pacs = await self.database.run(work)
        settings = self.actions.settings
        return self.pages.page(
            request,
            "members.html",
            session=session,
            members=members,
            now=now(),
            pacs=pacs,
            pacs_words=pacs_words(pacs, str(settings.central_pacs), settings.aet),
        )

    async def new(self, request: Request, session: Session) -> Response:
        """The blank form."""
        return self._form(request, session, BLANK)

    async def register(self, request: Request, session: Session, form: FormData) -> Response:
        """Register a member, and go on to the page of its token."""
        filled = read_registration(form)
        registration = filled.registration
        if registration is None:
            return self._form(request, session, filled)
        try:
            member, token = await self.database.run(
                lambda c: self.actions.register(c, registration, session.account)
            )
        except UsageError as error:
            return self._form(request, session, evolve(filled, wrong=wrong_by_field(error)))
        self.tokens.keep(session, member, token, now())
        return see(f"/members/{member.address}/token")

    async def trail(self, request: Request, session: Session) -> Response:
        """The audit trail."""
        return await self._trail(request, session, member="", uid="")

    async def search(self, request: Request, session: Session, form: FormData) -> Response:
        """The audit trail of a member or a study; by POST, as a UID must not stand in a URL."""
        member, uid = text_of(form, "member"), text_of(form, "uid")
        return await self._trail(request, session, member=member, uid=uid)

    # ------------------------------------------------------------ pages

    def _form(self, request: Request, session: Session, filled: Filled) -> Response:
        status = 400 if filled.wrong else 200
        return self.pages.page(request, "new.html", status=status, session=session, filled=filled)

    async def _trail(
        self, request: Request, session: Session, *, member: str, uid: str
    ) -> Response:
        wrong, field = "", ""

        def work(connection: Connection) -> list[audit.Entry]:
            return audit.read(connection, member=member, uid=uid, most=_ENTRIES)

        try:
            entries = await self.database.run(work)
        except NotFoundError as error:
            entries, wrong = [], sentence(str(error))
            field = "uid" if isinstance(error, StudyNotFoundError) else "member"
        return self.pages.page(
            request,
            "audit.html",
            status=404 if wrong else 200,
            session=session,
            entries=entries,
            member=member,
            uid=uid,
            most=_ENTRIES,
            wrong=wrong,
            wrong_field=field,
        )


def see(path: str) -> Response:
    """Go on to another page, so that a reload repeats nothing."""
    return RedirectResponse(path, status_code=303)
