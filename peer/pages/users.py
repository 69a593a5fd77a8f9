"""The administrator's page of who may sign in here, and of what was done about it.

Every change asks for the administrator's own password: a browser that was left open makes nobody
an administrator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen
from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from p2pacs.accounts import people
from p2pacs.accounts.passwords import check_account, check_password
from p2pacs.accounts.people import Account
from p2pacs.accounts.sessions import Session
from p2pacs.accounts.sign_in import Checker
from p2pacs.errors import NotFoundError, StateError, UsageError
from p2pacs.languages import N_
from p2pacs.languages.kept_details import SIGN_IN, detail_words
from p2pacs.pages.door import Door
from p2pacs.pages.forms import secret_of, sentence, text_of
from p2pacs.pages.times import minute
from peer.accounts.rights import UserRight, UserRole, user_role
from peer.accounts.trail import TrailEntry, note, read_trail

_ENTRIES = 100
"""Of the trail on the page."""


@frozen
class UserViews:
    """Accounts, for who has the right to manage them."""

    door: Door
    passwords: Checker

    def routes(self) -> list[Route]:
        """The page, and what is done on it."""
        shows, changes, users = self.door.shows, self.door.changes, UserRight.USERS
        return [
            Route("/users", shows(self.show, users), methods=["GET"]),
            Route("/users", changes(self.add, users), methods=["POST"]),
            Route("/users/change", changes(self.change, users), methods=["POST"]),
            Route("/users/second-factor", changes(self.second_factor, users), methods=["POST"]),
            Route("/users/remove", changes(self.remove, users), methods=["POST"]),
        ]

    async def show(self, request: Request, session: Session) -> Response:
        """All accounts, and what was done about them."""
        return await self._show(request, session)

    async def add(self, request: Request, session: Session, form: FormData) -> Response:
        """Make an account."""
        name, password = text_of(form, "name"), secret_of(form, "password")
        try:
            role = user_role(text_of(form, "role"))
            check_account(name, password)
        except UsageError as error:
            return await self._show(request, session, wrong=error, filled=form)
        hashed = await self.passwords.make(password)

        def work(connection: Connection) -> None:
            people.store_account(connection, name, hashed, role)
            note(connection, session.account, "account added", f"{name}: {role}")

        return await self._do(request, session, form, work)

    async def change(self, request: Request, session: Session, form: FormData) -> Response:
        """Say what somebody may do, and give a new password if one was typed."""
        name, password = text_of(form, "name"), secret_of(form, "password")
        try:
            role = user_role(text_of(form, "role"))
            if password:
                check_password(password)
        except UsageError as error:
            return await self._show(request, session, wrong=error)
        hashed = await self.passwords.make(password) if password else ""

        def work(connection: Connection) -> None:
            if people.role_of(connection, name) != role:
                people.set_role(connection, name, role)
                note(connection, session.account, "role set", f"{name}: {role}")
            if hashed:
                people.store_password(connection, name, hashed)
                note(connection, session.account, "password set", name)

        return await self._do(request, session, form, work)

    async def second_factor(self, request: Request, session: Session, form: FormData) -> Response:
        """Somebody has lost phone and recovery codes: the password alone does again."""
        name = text_of(form, "name")

        def work(connection: Connection) -> None:
            people.reset_second_factor(connection, name)
            note(connection, session.account, "second factor removed", name)

        return await self._do(request, session, form, work)

    async def remove(self, request: Request, session: Session, form: FormData) -> Response:
        """Somebody signs in no more."""
        name = text_of(form, "name")

        def work(connection: Connection) -> None:
            people.remove_account(connection, name)
            note(connection, session.account, "account removed", name)

        return await self._do(request, session, form, work)

    async def _do(
        self,
        request: Request,
        session: Session,
        form: FormData,
        work: Callable[[Connection], None],
    ) -> Response:
        if refused := await self.door.refuses(request, session, form):
            return await self._show(request, session, wrong=UsageError(refused), filled=form)
        try:
            await self.door.database.run(work)
        except (NotFoundError, StateError) as error:
            return await self._show(request, session, wrong=error, filled=form)
        return RedirectResponse("/users", status_code=303)

    async def _show(
        self,
        request: Request,
        session: Session,
        *,
        wrong: UsageError | NotFoundError | StateError | None = None,
        filled: Mapping[str, object] | None = None,
    ) -> Response:
        def work(connection: Connection) -> tuple[list[Account], list[TrailEntry]]:
            return people.list_accounts(connection), read_trail(connection, _ENTRIES)

        accounts, entries = await self.door.database.run(work)
        return self.door.pages.page(
            request,
            "users.html",
            status=wrong.http_status if wrong else 200,
            session=session,
            accounts=accounts,
            entries=[(one, minute(one.time), trail_detail(one)) for one in entries],
            roles=list(UserRole),
            wrong=sentence(str(wrong)) if wrong else "",
            filled={name: text_of(filled or {}, name) for name in ("name", "role")},
        )


_DETAILS: Final = (*SIGN_IN, N_("by its owner"), N_("by the owner"), N_("%(name)s: %(role)s"))


def trail_detail(entry: TrailEntry) -> str:
    """The detail of an entry as people read it."""
    return detail_words(entry.detail, _DETAILS)
