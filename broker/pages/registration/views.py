"""The pages on which members are registered.

Every POST has checked its CSRF token before (`p2pacs.pages.door`).
"""

from __future__ import annotations

from attrs import evolve, frozen
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from broker.admins.actions import AdminActions
from broker.database.db import BrokerDatabase, now
from broker.pages.registration.forms import BLANK, Filled, read_registration, said_by_field
from broker.pages.registration.shown_tokens import ShownTokens
from p2pacs.accounts.sessions import Session
from p2pacs.errors import UsageError
from p2pacs.pages.forms import see
from p2pacs.web.pages import Pages


@frozen
class RegistrationViews:
    """Registering members, for somebody who is signed in."""

    database: BrokerDatabase
    actions: AdminActions
    pages: Pages
    tokens: ShownTokens

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
            return self._form(request, session, evolve(filled, wrong=said_by_field(error)))
        self.tokens.keep(session, member, token, now())
        return see(f"/members/{member.address}/token")

    def _form(self, request: Request, session: Session, filled: Filled) -> Response:
        status = 400 if filled.wrong else 200
        return self.pages.page(request, "new.html", status=status, session=session, filled=filled)
