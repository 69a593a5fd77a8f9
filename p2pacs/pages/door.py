"""The door of the pages: the sign-in form, session cookies, CSRF tokens, and who may see what."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Final

from attrs import frozen
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from p2pacs.accounts import sessions
from p2pacs.accounts.known_places import FORGOTTEN
from p2pacs.accounts.rights import Rights, roles_with
from p2pacs.accounts.sessions import Session, Sessions, now
from p2pacs.accounts.sign_in import Checker, CodeWanted, RecordSignIn, SignedIn, SignIn
from p2pacs.accounts.tables import AccountsDatabase
from p2pacs.errors import AuthenticationError, TooManyAttemptsError
from p2pacs.languages import LANGUAGES, N_, _, said, speak
from p2pacs.limits import NAME
from p2pacs.pages.forms import read_form, secret_of, text_of
from p2pacs.settings import WebSettings
from p2pacs.web.language import COOKIE_AGE
from p2pacs.web.pages import Pages

Show = Callable[[Request, Session], Awaitable[Response]]
Change = Callable[[Request, Session, FormData], Awaitable[Response]]
Served = Callable[[Request], Awaitable[Response]]

_BROWSER_AGE: Final = FORGOTTEN // 1000
"""Seconds that a browser keeps the cookie by which it is known."""

_HOME: Final = "/"

_OUT_OF_DATE: Final = N_("This form was out of date. Try again.")
_SIGN_IN_AGAIN: Final = N_("That took too long, or too many codes were wrong. Sign in again.")


@frozen
class Door:
    """Lets in who is signed in, to what the account's role has a right to."""

    database: AccountsDatabase
    pages: Pages
    secure: bool
    """Whether browsers come by HTTPS."""
    realm: str
    """At the end of the cookies' names: browsers do not tell the ports of one host apart."""
    sessions: Sessions
    accounts: SignIn
    came: Callable[[str], object]
    """Told from which network address somebody who is signed in comes."""
    left: Callable[[Session], object]
    """Told who has signed out."""

    @classmethod
    def of(
        cls,
        database: AccountsDatabase,
        pages: Pages,
        settings: WebSettings,
        *,
        rights: Rights,
        record: RecordSignIn,
        passwords: Checker,
        came: Callable[[str], object],
        left: Callable[[Session], object] = lambda _session: None,
        realm: str = "",
        clock: Callable[[], int] = now,
    ) -> Door:
        """A door as the settings want it.

        Args:
            database: with the accounts.
            pages: shows ``login.html``.
            settings: of the pages.
            rights: what each role may do.
            record: writes a sign-in to the audit trail.
            passwords: checks them.
            came: told from which network address somebody who is signed in comes.
            left: told who has signed out.
            realm: tells its cookies from those of other pages on the same host.
            clock: milliseconds since 1970.
        """
        of_settings = Sessions(
            settings.idle_milliseconds, settings.session_milliseconds, rights, clock
        )
        accounts = SignIn(database, of_settings, record, passwords=passwords, clock=clock)
        secure = settings.secure_cookies
        return cls(database, pages, secure, realm, of_settings, accounts, came, left)

    def cookie(self, name: str) -> str:
        """The full name of a cookie: ``session``, ``form``, ``browser`` or ``language``."""
        # The prefix keeps other hosts and plain HTTP from setting it (RFC 6265bis 4.1.3).
        return ("__Host-" if self.secure else "") + name + (f"-{self.realm}" if self.realm else "")

    def routes(self) -> list[BaseRoute]:
        """``/login`` and ``/logout``."""
        return [
            Route("/login", self.ask, methods=["GET"]),
            Route("/login", self.sign_in, methods=["POST"]),
            Route("/login/code", self.take_code, methods=["POST"]),
            Route("/logout", self.changes(self._sign_out, None), methods=["POST"]),
        ]

    # ------------------------------------------------------------ pages behind the door

    def shows(self, view: Show, right: str | None) -> Served:
        """A page for who is signed in and has this right (None: all have); others sign in first."""

        async def endpoint(request: Request) -> Response:
            session = await self._session(request)
            if session is None:
                return RedirectResponse("/login", status_code=303)
            self._check(session, right)
            return await view(request, session)

        return endpoint

    def changes(self, view: Change, right: str | None) -> Served:
        """A form for who is signed in and has this right, sent from a page of ours."""

        async def endpoint(request: Request) -> Response:
            session = await self._session(request)
            if session is None:
                return RedirectResponse("/login", status_code=303)
            form = await read_form(request)
            if not sessions.equal(text_of(form, "csrf"), session.csrf):
                raise HTTPException(403, _("This form is no longer valid. Go back and reload it."))
            self._check(session, right)
            return await view(request, session, form)

        return endpoint

    async def peek(self, request: Request) -> Session | None:
        """Who is signed in; it does not count as use, so that no open page keeps itself alive."""
        return await self._find(request, use=False)

    def _check(self, session: Session, right: str | None) -> None:
        if right is None or session.may(right):
            return
        roles = _(" or ").join(said(role) for role in roles_with(right, self.sessions.rights))
        raise HTTPException(
            403,
            _(
                "This is not for an account with the role %(role)s: it needs %(roles)s.",
                role=said(session.role),
                roles=roles,
            ),
        )

    async def _session(self, request: Request) -> Session | None:
        found = await self._find(request, use=True)
        if found is not None and request.client is not None:
            self.came(request.client.host)
        request.state.session = found  # error pages show the navigation, too
        return found

    async def _find(self, request: Request, *, use: bool) -> Session | None:
        token = self.token(request)
        if not token:
            return None
        found = await self.database.run(lambda c: self.sessions.find(c, token, use=use))
        if found is not None and found.language:
            speak(found.language)
        return found

    # ------------------------------------------------------------ the door itself

    async def ask(self, request: Request) -> Response:
        """The sign-in form."""
        if await self._session(request) is not None:
            return RedirectResponse(_HOME, status_code=303)
        language = request.query_params.get("language", "")
        if language in LANGUAGES:  # one of the links on the page
            speak(language)
        response = self._ask(request)
        if language in LANGUAGES:
            self.remember_language(response, language)
        return response

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
        if not self._is_ours(request, form):
            return self._ask(request, wrong=said(_OUT_OF_DATE), status=403)
        name, password = text_of(form, "name"), secret_of(form, "password")
        try:
            signed_in = await self.accounts.sign_in(
                name, password, address_of(request), self.browser(request)
            )
        except (AuthenticationError, TooManyAttemptsError) as error:
            shown, status = str(error), error.http_status
            return self._ask(request, wrong=shown, name=name[:NAME], status=status)
        if isinstance(signed_in, CodeWanted):
            return self._ask_code(request, signed_in.token)
        return self._enter(signed_in)

    async def take_code(self, request: Request) -> Response:
        """Check the code of the second factor; a session if it is right."""
        form = await read_form(request)
        if not self._is_ours(request, form):
            return self._ask(request, wrong=said(_OUT_OF_DATE), status=403)
        half = text_of(form, "half")
        try:
            signed_in = await self.accounts.finish(half, text_of(form, "code"))
        except (AuthenticationError, TooManyAttemptsError) as error:
            return self._ask_code(request, half, wrong=str(error), status=error.http_status)
        if signed_in is None:
            return self._ask(request, wrong=said(_SIGN_IN_AGAIN), status=401)
        return self._enter(signed_in)

    def _ask_code(
        self, request: Request, half: str, *, wrong: str = "", status: int = 200
    ) -> Response:
        csrf = request.cookies[self.cookie("form")]
        return self.pages.page(
            request, "code.html", status=status, csrf=csrf, half=half, wrong=wrong
        )

    def _is_ours(self, request: Request, form: FormData) -> bool:
        """Whether a form that nobody is signed in for came from a page of ours."""
        expected = request.cookies.get(self.cookie("form"), "")
        return sessions.equal(text_of(form, "csrf"), expected)

    def _enter(self, signed_in: SignedIn) -> Response:
        response = RedirectResponse(_HOME, status_code=303)
        self.let_in(response, signed_in)
        self._clear(response, "form")
        return response

    def let_in(self, response: Response, signed_in: SignedIn) -> None:
        """Give the browser its cookies."""
        self._set(response, "session", signed_in.session)
        self._set(response, "browser", signed_in.browser, age=_BROWSER_AGE)

    def remember_language(self, response: Response, language: str) -> None:
        """Let the browser come with it from now on; empty: with none."""
        if language:
            self._set(response, "language", language, age=COOKIE_AGE)
        else:
            self._clear(response, "language")

    async def refuses(self, request: Request, session: Session, form: FormData) -> str:
        """Why the field ``current`` is not the password of who is signed in; empty if it is.

        For what somebody who finds a browser open must not do. It waits for its turn as sign-ins
        do.
        """
        password, browser = secret_of(form, "current"), self.browser(request)
        try:
            await self.accounts.check(session.account, password, address_of(request), browser)
        except AuthenticationError:
            return _("Your password is wrong. Nothing was changed.")
        except TooManyAttemptsError as error:
            return str(error)
        return ""

    def browser(self, request: Request) -> str:
        """By which the browser is known; empty if it is not."""
        return request.cookies.get(self.cookie("browser"), "")

    def token(self, request: Request) -> str:
        """Of the session in the request's cookie; empty if there is none."""
        return request.cookies.get(self.cookie("session"), "")

    async def _sign_out(self, request: Request, session: Session, _form: FormData) -> Response:
        token = self.token(request)
        await self.database.run(lambda c: sessions.end(c, token))
        self.left(session)
        response = RedirectResponse("/login", status_code=303)
        self._clear(response, "session")
        return response

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


def address_of(request: Request) -> str:
    """The network address that asks; empty if it is not known."""
    return request.client.host if request.client else ""
