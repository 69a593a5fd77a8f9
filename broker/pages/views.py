"""What the administrator's pages do. Every POST has checked its CSRF token before (app.py)."""

from __future__ import annotations

from attrs import evolve, frozen
from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from broker.database.db import BrokerDatabase, now
from broker.members import audit, registry
from broker.members.admin_actions import AdminActions
from broker.members.registry import Member
from broker.pages.forms import BLANK, Filled, read_registration, sentence, text_of, wrong_by_field
from p2pacs.accounts.sessions import Session
from p2pacs.errors import UsageError
from p2pacs.ids import VirtualAddress
from p2pacs.web.pages import Pages

_ENTRIES = 200
"""Entries of the audit trail on one page."""

_RECENT = 10


@frozen
class Views:
    """The pages of somebody who is signed in."""

    database: BrokerDatabase
    actions: AdminActions
    pages: Pages

    async def members(self, request: Request, session: Session) -> Response:
        """All members."""
        members = await self.database.run(registry.list_members)
        return self.pages.page(request, "members.html", session=session, members=members, now=now())

    async def new(self, request: Request, session: Session) -> Response:
        """The blank form."""
        return self._form(request, session, BLANK)

    async def register(self, request: Request, session: Session, form: FormData) -> Response:
        """Register a member, and show its token."""
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
        return self._token(request, session, member, token)

    async def member(self, request: Request, session: Session) -> Response:
        """One member."""
        return await self._member(request, session, wrong="", read=None)

    async def token(self, request: Request, session: Session, _form: FormData) -> Response:
        """Make a new token, and show it."""
        address = _address(request)

        def work(connection: Connection) -> tuple[Member, str]:
            token = self.actions.new_token(connection, address, session.account)
            return registry.get_member(connection, address), token

        member, token = await self.database.run(work)
        return self._token(request, session, member, token)

    async def read(self, request: Request, session: Session, form: FormData) -> Response:
        """Change what a member may read."""
        address, read = _address(request), text_of(form, "read")
        try:
            await self.database.run(
                lambda c: self.actions.change_rule(c, address, read, session.account)
            )
        except UsageError as error:
            if error.http_status != UsageError.http_status:
                raise
            return await self._member(request, session, wrong=sentence(str(error)), read=read)
        return _see(f"/members/{address}")

    async def revoke(self, request: Request, session: Session, _form: FormData) -> Response:
        """End a membership."""
        address = _address(request)
        await self.database.run(lambda c: self.actions.revoke(c, address, session.account))
        return _see(f"/members/{address}")

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

    def _token(self, request: Request, session: Session, member: Member, token: str) -> Response:
        days = self.actions.settings.enrolment.token_days
        return self.pages.page(
            request, "token.html", session=session, member=member, token=token, days=days
        )

    async def _member(
        self, request: Request, session: Session, *, wrong: str, read: str | None
    ) -> Response:
        address = _address(request)

        def work(connection: Connection) -> tuple[Member, list[audit.Entry]]:
            member = registry.get_member(connection, address)
            return member, audit.read(connection, member=str(address), most=_RECENT)

        member, entries = await self.database.run(work)
        return self.pages.page(
            request,
            "member.html",
            status=400 if wrong else 200,
            session=session,
            member=member,
            state=member.state(now()),
            entries=entries,
            wrong=wrong,
            read=member.read if read is None else read,
        )

    async def _trail(
        self, request: Request, session: Session, *, member: str, uid: str
    ) -> Response:
        entries = await self.database.run(
            lambda c: audit.read(c, member=member, uid=uid, most=_ENTRIES)
        )
        return self.pages.page(
            request,
            "audit.html",
            session=session,
            entries=entries,
            member=member,
            uid=uid,
            most=_ENTRIES,
        )


def _address(request: Request) -> VirtualAddress:
    try:
        return VirtualAddress.parse(request.path_params["address"])
    except UsageError as error:
        raise HTTPException(404) from error


def _see(path: str) -> Response:
    return RedirectResponse(path, status_code=303)
