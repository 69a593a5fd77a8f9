"""The administrator's pages as one ASGI application: routes, sign-in, sessions, CSRF."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from attrs import frozen
from starlette.applications import Starlette
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from broker.accounts import sessions
from broker.accounts.admins import Accounts
from broker.accounts.sessions import SignedIn
from broker.config import WebSettings
from broker.database.db import BrokerDatabase
from broker.members.admin_actions import AdminActions
from broker.members.audit import utc
from broker.pages.forms import text_of
from broker.pages.views import Views
from p2pacs.errors import AuthenticationError, TooManyAttemptsError
from p2pacs.units import format_rate
from p2pacs.web.answers import error_handlers
from p2pacs.web.guard import BodyLimit, SecurityHeaders
from p2pacs.web.pages import Pages, static_files

_TEMPLATES: Final = Path(__file__).parent / "templates"
_FORM_BYTES: Final = 32 * 1024

Show = Callable[[Request, SignedIn], Awaitable[Response]]
Change = Callable[[Request, SignedIn, FormData], Awaitable[Response]]


def make_app(database: BrokerDatabase, office: AdminActions, settings: WebSettings) -> Starlette:
    """The application.

    Args:
        database: the broker's.
        office: what an administrator does.
        settings: of the pages; where browsers come by HTTPS, cookies are marked so.
    """
    pages = Pages(_TEMPLATES, network=office.authority.name)
    pages.filter(minute=_minute, utc=_utc, rate=_rate)
    door = _Door(database, Accounts(database), pages, settings)
    views = Views(database, office, pages)
    return Starlette(
        routes=[
            Route("/", _home),
            Route("/login", door.ask, methods=["GET"]),
            Route("/login", door.sign_in, methods=["POST"]),
            Route("/logout", door.sign_out, methods=["POST"]),
            Route("/members", door.shows(views.members), methods=["GET"]),
            Route("/members", door.changes(views.register), methods=["POST"]),
            Route("/members/new", door.shows(views.new), methods=["GET"]),
            Route("/members/{address}", door.shows(views.member), methods=["GET"]),
            Route("/members/{address}/token", door.changes(views.token), methods=["POST"]),
            Route("/members/{address}/read", door.changes(views.read), methods=["POST"]),
            Route("/members/{address}/revoke", door.changes(views.revoke), methods=["POST"]),
            Route("/audit", door.shows(views.trail), methods=["GET"]),
            Route("/audit", door.changes(views.search), methods=["POST"]),
            static_files(),
        ],
        middleware=[Middleware(SecurityHeaders), Middleware(BodyLimit, limit=_FORM_BYTES)],
        exception_handlers=error_handlers(pages.error),
    )


async def _home(_request: Request) -> Response:
    return RedirectResponse("/members", status_code=303)


@frozen
class _Door:
    """Lets in who is signed in."""

    database: BrokerDatabase
    accounts: Accounts
    pages: Pages
    settings: WebSettings

    # The prefix keeps other hosts and plain HTTP from setting them (RFC 6265bis 4.1.3).

    @property
    def session_cookie(self) -> str:
        return "__Host-session" if self.settings.secure_cookies else "session"

    @property
    def form_cookie(self) -> str:
        return "__Host-form" if self.settings.secure_cookies else "form"

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
            form = await request.form()
            if not sessions.equal(text_of(form, "csrf"), session.csrf):
                raise HTTPException(403, "This form is no longer valid. Go back and reload it.")
            return await view(request, session, form)

        return endpoint

    async def _session(self, request: Request) -> SignedIn | None:
        token = request.cookies.get(self.session_cookie, "")
        if not token:
            return None
        return await self.database.run(lambda c: sessions.find(c, token, self.settings))

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
        token = request.cookies.get(self.form_cookie, "") or secrets.token_urlsafe(32)
        response = self.pages.page(
            request, "login.html", status=status, csrf=token, wrong=wrong, name=name
        )
        self._set(response, self.form_cookie, token)
        return response

    async def sign_in(self, request: Request) -> Response:
        """Check name and password; a session if they are right."""
        form = await request.form()
        expected = request.cookies.get(self.form_cookie, "")
        if not sessions.equal(text_of(form, "csrf"), expected):
            return self._ask(request, wrong="This form was out of date. Try again.", status=403)
        name, password = text_of(form, "name"), form.get("password")
        address = request.client.host if request.client else "?"
        try:
            await self.accounts.sign_in(
                name, password if isinstance(password, str) else "", address
            )
        except (AuthenticationError, TooManyAttemptsError) as error:
            said, status = str(error), error.http_status
            return self._ask(request, wrong=said, name=name, status=status)
        token = await self.database.run(lambda c: sessions.start(c, name, self.settings))
        response = RedirectResponse("/members", status_code=303)
        self._set(response, self.session_cookie, token)
        self._clear(response, self.form_cookie)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session."""

        async def view(request: Request, session: SignedIn, _form: FormData) -> Response:
            token = request.cookies[self.session_cookie]
            await self.database.run(lambda c: sessions.end(c, token))
            response = RedirectResponse("/login", status_code=303)
            self._clear(response, self.session_cookie)
            return response

        return await self.changes(view)(request)

    def _set(self, response: Response, cookie: str, value: str) -> None:
        response.set_cookie(
            cookie,
            value,
            httponly=True,
            samesite="strict",
            secure=self.settings.secure_cookies,
            path="/",
        )

    def _clear(self, response: Response, cookie: str) -> None:
        response.delete_cookie(
            cookie, httponly=True, samesite="strict", secure=self.settings.secure_cookies, path="/"
        )


def _minute(time: int | None) -> str:
    """A time for people: to the minute."""
    return "never" if time is None else utc(time)[:16].replace("T", " ")


def _utc(time: int | None) -> str:
    """The same, naming the zone."""
    return "never" if time is None else f"{_minute(time)} UTC"


def _rate(rate: int | None) -> str:
    return "not set" if rate is None else format_rate(rate)
