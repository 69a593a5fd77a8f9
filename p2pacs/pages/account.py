"""The page of one's own account: password, second factor, sessions. For broker and hospital alike.

Whatever changes how one signs in asks for the password anew, at the pace of signing in: a browser
that somebody left open is not enough to shut its owner out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import segno
from attrs import frozen
from markupsafe import Markup
from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from p2pacs.accounts import (
    known_places,
    one_time,
    people,
    preferences,
    second_factor,
    sessions,
)
from p2pacs.accounts.passwords import check_password
from p2pacs.accounts.sessions import OpenSession, Session
from p2pacs.accounts.sign_in import WRONG_CODE, Checker, SignedIn
from p2pacs.admission import source_of
from p2pacs.errors import AuthenticationError, StateError, TooManyAttemptsError, UsageError
from p2pacs.languages import LANGUAGES, N_, _, said
from p2pacs.pages.door import Door, address_of
from p2pacs.pages.forms import secret_of, see, sentence, text_of
from p2pacs.pages.times import utc

NoteChange = Callable[[Connection, str, str, str], None]
"""Writes to the audit trail, in the transaction that it is given: who, what, and a detail."""

PATH: Final = "/account"

_DONE: Final = {
    "password": N_(
        "Your password is changed. Everybody else who was signed in with the old one is signed out."
    ),
    "session": N_("The session has ended."),
    "second": N_("A code is not asked for any more."),
    "language": N_("The pages come in this language now."),
}
"""What a redirection tells, by the word in its address."""


@frozen
class AccountViews:
    """The pages of somebody's own account."""

    door: Door
    note: NoteChange
    passwords: Checker
    issuer: str
    """Whose account it is, as an authenticator app shows it."""

    def routes(self) -> list[BaseRoute]:
        """``/account`` and what is under it; for whoever is signed in."""
        shows, changes = self.door.shows, self.door.changes
        second = f"{PATH}/second-factor"
        return [
            Route(PATH, shows(self.show, None), methods=["GET"]),
            Route(f"{PATH}/password", changes(self.password, None), methods=["POST"]),
            Route(f"{PATH}/language", changes(self.language, None), methods=["POST"]),
            Route(f"{PATH}/session", changes(self.end_session, None), methods=["POST"]),
            Route(second, shows(self.new_second, None), methods=["GET"]),
            Route(second, changes(self.enable_second, None), methods=["POST"]),
            Route(f"{second}/remove", changes(self.remove_second, None), methods=["POST"]),
            Route(f"{second}/codes", changes(self.renew_codes, None), methods=["POST"]),
        ]

    async def show(self, request: Request, session: Session) -> Response:
        """The account as it is."""
        return await self._show(request, session)

    async def password(self, request: Request, session: Session, form: FormData) -> Response:
        """Change the password; this browser stays signed in, all others do not."""
        new = secret_of(form, "new")
        try:
            check_password(new)
        except UsageError as error:
            return await self._show(request, session, wrong={"new": sentence(str(error))})
        if new != secret_of(form, "again"):
            return await self._show(
                request, session, wrong={"again": _("The two are not the same.")}
            )
        if refused := await self.door.refuses(request, session, form):
            return await self._show(request, session, wrong={"current": refused})
        hashed = await self.passwords.make(new)

        def work(connection: Connection) -> SignedIn:
            people.store_password(connection, session.account, hashed)
            self.note(connection, session.account, "password changed", "by its owner")
            return self.door.accounts.enter(
                connection,
                session.account,
                source_of(address_of(request)),
                self.door.browser(request) or known_places.new_cookie(),
            )

        response = see(f"{PATH}?done=password")
        self.door.let_in(response, await self.door.database.run(work))
        return response

    async def language(self, _request: Request, session: Session, form: FormData) -> Response:
        """Choose the language of all pages, in every browser; empty: what each browser says."""
        language = text_of(form, "language")
        if language and language not in LANGUAGES:
            raise UsageError(_("choose a language that is offered"))
        await self.door.database.run(
            lambda c: preferences.set_language(c, session.account, language)
        )
        response = see(f"{PATH}?done=language")
        self.door.remember_language(response, language)  # for the next time that it is signed in
        return response

    async def end_session(self, request: Request, session: Session, form: FormData) -> Response:
        """End one of one's sessions, or all but this one."""
        chosen, token = text_of(form, "session"), self.door.token(request)

        def work(connection: Connection) -> None:
            if chosen == "others":
                sessions.end_others(connection, session.account, token)
            elif not sessions.end_one(connection, session.account, chosen):
                raise StateError(_("this session has ended already"))
            self.note(connection, session.account, "session ended", "by its owner")

        await self.door.database.run(work)
        return see(f"{PATH}?done=session")

    # ------------------------------------------------------------ the second factor

    async def new_second(self, request: Request, session: Session) -> Response:
        """A fresh secret, to be put into an app; nothing is kept yet."""
        await self._check_none(session)
        return self._second(request, session, one_time.new_secret())

    async def enable_second(self, request: Request, session: Session, form: FormData) -> Response:
        """Ask for codes from now on, if this one proves that the app has the secret."""
        secret = one_time.read_secret_text(text_of(form, "secret"))
        await self._check_none(session)
        if refused := await self.door.refuses(request, session, form):
            return self._second(request, session, secret, {"current": refused})
        at = self.door.sessions.clock() // 1000
        code = one_time.plain_code(text_of(form, "code"))
        step = one_time.matching_step(secret, code, at, after=-1)
        if step is None:
            return self._second(request, session, secret, {"code": said(WRONG_CODE)})
        token = self.door.token(request)

        def work(connection: Connection) -> list[str]:
            if second_factor.has_second_factor(connection, session.account):
                raise StateError(_("the account has a second factor already"))
            codes = second_factor.enable(connection, session.account, secret, step)
            sessions.end_others(connection, session.account, token)
            self.note(connection, session.account, "second factor added", "by its owner")
            return codes

        return self._codes(request, session, await self.door.database.run(work))

    async def remove_second(self, request: Request, session: Session, form: FormData) -> Response:
        """The password alone does again."""
        if refused := await self._refuses(request, session, form):
            return await self._show(request, session, wrong={"remove": refused})

        def work(connection: Connection) -> None:
            second_factor.disable(connection, session.account)
            self.note(connection, session.account, "second factor removed", "by its owner")

        await self.door.database.run(work)
        return see(f"{PATH}?done=second")

    async def renew_codes(self, request: Request, session: Session, form: FormData) -> Response:
        """New recovery codes in the place of those before."""
        if refused := await self._refuses(request, session, form):
            return await self._show(request, session, wrong={"codes": refused})

        def work(connection: Connection) -> list[str]:
            self.note(connection, session.account, "recovery codes made", "by the owner")
            return second_factor.renew_recovery_codes(connection, session.account)

        return self._codes(request, session, await self.door.database.run(work))

    async def _check_none(self, session: Session) -> None:
        has = await self.door.database.run(
            lambda c: second_factor.has_second_factor(c, session.account)
        )
        if has:
            raise StateError(_("the account has a second factor already: remove it first"))

    async def _refuses(self, request: Request, session: Session, form: FormData) -> str:
        """Why this is not the owner, who has password and code; empty if it is."""
        if refused := await self.door.refuses(request, session, form):
            return refused
        try:
            await self.door.accounts.take_code(session.account, text_of(form, "code"))
        except (AuthenticationError, TooManyAttemptsError) as error:
            return str(error)
        return ""

    # ------------------------------------------------------------ pages

    async def _show(
        self, request: Request, session: Session, *, wrong: dict[str, str] | None = None
    ) -> Response:
        name = session.account

        def work(connection: Connection) -> tuple[list[OpenSession], bool, int]:
            return (
                self.door.sessions.of_account(connection, name),
                second_factor.has_second_factor(connection, name),
                second_factor.recovery_codes_left(connection, name),
            )

        opened, second, left = await self.door.database.run(work)
        here = sessions.token_hash(self.door.token(request)).hex()
        return self.door.pages.page(
            request,
            "account.html",
            status=400 if wrong else 200,
            session=session,
            opened=[(one, one.id == here, utc(one.started), utc(one.used)) for one in opened],
            second=second,
            left=left,
            wrong=wrong or {},
            done=said(_DONE.get(request.query_params.get("done", ""), "")),
        )

    def _second(
        self, request: Request, session: Session, secret: bytes, wrong: dict[str, str] | None = None
    ) -> Response:
        address = one_time.app_address(secret, session.account, self.issuer)
        image = segno.make(address, micro=False).svg_inline(scale=4, light="#fff")
        return self.door.pages.page(
            request,
            "second_factor.html",
            status=400 if wrong else 200,
            session=session,
            secret=one_time.secret_text(secret),
            image=Markup(image),  # noqa: S704 - drawn by segno, of modules alone
            wrong=wrong or {},
        )

    def _codes(self, request: Request, session: Session, codes: list[str]) -> Response:
        return self.door.pages.page(request, "recovery_codes.html", session=session, codes=codes)
