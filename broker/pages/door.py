"""The door of the administrator's pages: the sign-in form, session cookies, CSRF tokens."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from attrs import frozen
from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.config import WebSettings
from broker.database.db import BrokerDatabase
from broker.members import audit
from broker.pages.forms import read_form, text_of
from p2pacs.accounts import sessions
from p2pacs.accounts.known_places import FORGOTTEN
from p2pacs.accounts.passwords import Passwords
from p2pacs.accounts.sessions import Session, Sessions
from p2pacs.accounts.sign_in import SignIn, SignInOutcome
from p2pacs.errors import AuthenticationError, TooManyAttemptsError
from p2pacs.limits import NAME
from p2pacs.web.pages import Pages

Show = Callable[[Request, Session], Awaitable[Response]]
Change = Callable[[Request, Session, FormData], Awaitable[Response]]

_BROWSER_AGE: Final = FORGOTTEN // 1000
"""Seconds that a browser keeps the cookie by which it is known."""


@frozen
class Door:
    """Lets in who is signed in."""

    database: BrokerDatabase
    pages: Pages
    secure: bool
    """Whether browsers come by HTTPS."""
    sessions: Sessions
    accounts: SignIn
    came: Callable[[str], object]
    """Told from which network address somebody who is signed in comes."""

    @classmethod
    def of(
        cls,
        database: BrokerDatabase,
        pages: Pages,
        settings: WebSettings,
        passwords: Passwords,
        came: Callable[[str], object],
    ) -> Door:
        """A door as the settings want it."""
        of_settings = Sessions(settings.idle_milliseconds, settings.session_milliseconds)
        accounts = SignIn(database, of_settings, _record, passwords=passwords)
        return cls(database, pages, settings.secure_cookies, of_settings, accounts, came)

    def cookie(self, name: str) -> str:
        """The full name of a cookie: ``session``, ``form`` or ``browser``."""
        # The prefix keeps other hosts and plain HTTP from setting it (RFC 6265bis 4.1.3).
        return f"__Host-{name}" if self.secure else name

    # ------------------------------------------------------------ pages behind the door

    def shows(self, view: Show) -> Callable[[Request], Awaitable[Response]]:
        """A page for whoever is signed in; others are sent to sign in."""

        async def endpoint(request: Request) -> Response:
            session = await self._session(request)
            if session is None:
                return RedirectResponse("/login", status_code=303)
            return await view(request, session)

        return endpoint

    def changes(self, view: Change) -> Callable[[Request], Awaitable[Response]]:
        """A form for whoever is signed in, sent from a page of ours."""

        async def endpoint(request: Request) -> Response:
            session = await self._session(request)
            if session is None:
                return RedirectResponse("/login", status_code=303)
            form = await read_form(request)
            if not sessions.equal(text_of(form, "csrf"), session.csrf):
                raise HTTPException(403, "This form is no longer valid. Go back and reload it.")
            return await view(request, session, form)

        return endpoint

    async def _session(self, request: Request) -> Session | None:
        token = request.cookies.get(self.cookie("session"), "")
        if not token:
            return None
        found = await self.database.run(lambda c: self.sessions.find(c, token))
        if found is not None and request.client is not None:
            self.came(request.client.host)
        request.state.session = found  # error pages show the navigation, too
        return found

    # ------------------------------------------------------------ the door itself

    async def ask(self, request: Request) -> Response:
        """The sign-in form."""
        if await self._session(request) is not None:
            return RedirectResponse("/members", status_code=303)
        return self._ask(request)

    def _ask(
        self, request: Request, *, wrong: str = "", name: str = "", status: int = 200
    ) -> Response:
        # Nobody is signed in yet, so the token is compared with a cookie of its own.
        token = request.cookies.get(self.cookie("form"), "") or secrets.token_urlsafe(32)
        response = self.pages.page(
            request, "login.html", status=status, csrf=token, wrong=wrong, name=name
        )
        self._set(response, "form", token)
        return response

    async def sign_in(self, request: Request) -> Response:
        """Check name and password; a session if they are right."""
        form = await read_form(request)
        expected = request.cookies.get(self.cookie("form"), "")
        if not sessions.equal(text_of(form, "csrf"), expected):
            return self._ask(request, wrong="This form was out of date. Try again.", status=403)
        name, password = text_of(form, "name"), form.get("password")
        address = request.client.host if request.client else ""
        try:
            signed_in = await self.accounts.sign_in(
                name,
                password if isinstance(password, str) else "",
                address,
                request.cookies.get(self.cookie("browser"), ""),
            )
        except (AuthenticationError, TooManyAttemptsError) as error:
            said, status = str(error), error.http_status
            return self._ask(request, wrong=said, name=name[:NAME], status=status)
        response = RedirectResponse("/members", status_code=303)
        self._set(response, "session", signed_in.session)
        self._set(response, "browser", signed_in.browser, age=_BROWSER_AGE)
        self._clear(response, "form")
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session."""

        async def view(request: Request, _session: Session, _form: FormData) -> Response:
            token = request.cookies[self.cookie("session")]
            await self.database.run(lambda c: sessions.end(c, token))
            response = RedirectResponse("/login", status_code=303)
            self._clear(response, "session")
            return response

        return await self.changes(view)(request)

    def _set(self, response: Response, name: str, value: str, *, age: int | None = None) -> None:
        response.set_cookie(
            self.cookie(name),
            value,
            max_age=age,
            httponly=True,
            samesite="strict",
            secure=self.secure,
            path="/",
        )

    def _clear(self, response: Response, name: str) -> None:
        response.delete_cookie(
            self.cookie(name), httponly=True, samesite="strict", secure=self.secure, path="/"
        )


def _record(connection: Connection, outcome: SignInOutcome) -> None:
    if outcome.failures == 0:
        entry = audit.Entry("sign-in", outcome.account, detail=f"from {outcome.source}")
    else:
        where = f"from {outcome.source}" if outcome.source else "from further addresses"
        often = f" ({outcome.failures} times of late)" if outcome.failures > 1 else ""
        entry = audit.Entry(
            "sign-in",
            outcome.account,
            detail=f"{where}: wrong name or password{often}",
            outcome=audit.REFUSED,
        )
    audit.record(connection, entry)
