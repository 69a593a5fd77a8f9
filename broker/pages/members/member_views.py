"""The pages of one member: what is known of it, its token, and what can be changed.

Every POST has checked its CSRF token before (`p2pacs.pages.door`), and carries the version of the
member that its author saw: of two browsers that change the same, the second is told.
"""

from __future__ import annotations

from typing import Final

import trio
from attrs import evolve, frozen
from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from broker.admins.actions import AdminActions
from broker.database.db import BrokerDatabase, now
from broker.members import registry
from broker.members.registry import Member
from broker.pages.content import AdminContent
from broker.pages.members.list_views import row_of
from broker.pages.members.listing import page_number
from broker.pages.registration.forms import (
    Corrected,
    read_correction,
    read_plan,
    said_by_field,
    show_correction,
    version_of,
)
from broker.pages.registration.shown_tokens import ShownTokens
from broker.pages.shown_study import ShownStudy
from broker.registration.join_command import INSTALL, join_command, run_command, user_command
from broker.trail import audit
from p2pacs.accounts.sessions import Session
from p2pacs.errors import StateError, UsageError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.pages.forms import see, sentence, text_of
from p2pacs.web.pages import Pages

_RECENT: Final = 10

STUDIES: Final = 50
"""Studies on one page."""


@frozen
class MemberViews:
    """The pages of one member, for somebody who is signed in."""

    database: BrokerDatabase
    actions: AdminActions
    pages: Pages
    tokens: ShownTokens
    content: AdminContent

    async def show(self, request: Request, session: Session) -> Response:
        """What is known of it."""
        return await self._show(request, session)

    async def studies(self, request: Request, session: Session) -> Response:
        """What it says that it holds, and what the catalogue knows of it."""
        address, page = _address(request), page_number(request.query_params)
        member = await self.database.run(lambda c: registry.get_member(c, address))
        known, catalogue = self.content.members, self.content.catalogue
        some = known.studies(address, (page - 1) * STUDIES, STUDIES)

        def work() -> list[tuple[StudyId, bool, ShownStudy | None]]:
            records = ((study, whole, catalogue.get(study)) for study, whole in some)
            return [
                (study, whole, None if one is None else ShownStudy.of(one))
                for study, whole, one in records
            ]

        holding = await known.holding(address)
        return self.pages.page(
            request,
            "member_studies.html",
            session=session,
            member=member,
            holding=holding,
            studies=await trio.to_thread.run_sync(work),
            page=page,
            pages=max(1, -(-holding.studies // STUDIES)),
        )

    async def token(self, request: Request, session: Session) -> Response:
        """The token that was just made, and the commands; a reload shows them again."""
        address = _address(request)
        member = await self.database.run(lambda c: registry.get_member(c, address))
        token = self.tokens.find(session, member, now())
        if token is None:
            return see(f"/members/{address}")
        planned = read_plan(dict(request.query_params), member)
        return self.pages.page(
            request,
            "token.html",
            status=400 if planned.wrong else 200,
            session=session,
            member=member,
            token=token,
            days=self.actions.settings.enrolment.token_days,
            planned=planned,
            join=join_command(token, planned.plan),
            run=run_command(),
            user=user_command(),
            install=INSTALL,
        )

    async def new_token(self, request: Request, session: Session, form: FormData) -> Response:
        """Make a new token, and go on to its page."""
        address, version = _address(request), version_of(form)

        def work(connection: Connection) -> tuple[Member, str]:
            token = self.actions.new_token(connection, address, session.account, version=version)
            return registry.get_member(connection, address), token

        try:
            member, token = await self.database.run(work)
        except StateError as error:
            return await self._show(request, session, conflict=error)
        self.tokens.keep(session, member, token, now())
        return see(f"/members/{address}/token")

    async def put_away(self, request: Request, session: Session, _form: FormData) -> Response:
        """The token was copied: it is shown no more."""
        address = _address(request)
        self.tokens.forget(session, address)
        return see(f"/members/{address}")

    async def read(self, request: Request, session: Session, form: FormData) -> Response:
        """Change what a member may read."""
        address, read, version = _address(request), text_of(form, "read"), version_of(form)
        try:
            await self.database.run(
                lambda c: self.actions.change_rule(
                    c, address, read, session.account, version=version
                )
            )
        except StateError as error:
            return await self._show(request, session, conflict=error)
        except UsageError as error:
            if error.http_status != UsageError.http_status:
                raise
            wrong = sentence(str(error))
            return await self._show(request, session, wrong_rule=wrong, read=read)
        return see(f"/members/{address}")

    async def send(self, request: Request, session: Session, form: FormData) -> Response:
        """Change which studies a member may send."""
        address, send, version = _address(request), text_of(form, "send"), version_of(form)
        try:
            await self.database.run(
                lambda c: self.actions.change_send(
                    c, address, send, session.account, version=version
                )
            )
        except StateError as error:
            return await self._show(request, session, conflict=error)
        except UsageError as error:
            if error.http_status != UsageError.http_status:
                raise
            wrong = sentence(str(error))
            return await self._show(request, session, wrong_send=wrong, send=send)
        return see(f"/members/{address}")

    async def correct(self, request: Request, session: Session, form: FormData) -> Response:
        """Change name, role or lines."""
        address, version = _address(request), version_of(form)
        member = await self.database.run(lambda c: registry.get_member(c, address))
        filled = read_correction(form, member)
        wanted = filled.wanted
        if wanted is None:
            return await self._show(request, session, filled=filled)
        try:
            await self.database.run(
                lambda c: self.actions.correct(c, address, wanted, session.account, version=version)
            )
        except StateError as error:
            return await self._show(request, session, conflict=error)
        except UsageError as error:
            if error.http_status != UsageError.http_status:
                raise
            filled = evolve(filled, wrong=said_by_field(error))
            return await self._show(request, session, filled=filled)
        return see(f"/members/{address}")

    async def remove(self, request: Request, session: Session, form: FormData) -> Response:
        """Delete a member that never joined."""
        address, version = _address(request), version_of(form)
        try:
            await self.database.run(
                lambda c: self.actions.remove(c, address, session.account, version=version)
            )
        except StateError as error:
            return await self._show(request, session, conflict=error)
        self.tokens.forget(session, address)
        return see("/members")

    async def revoke(self, request: Request, session: Session, _form: FormData) -> Response:
        """End a membership, whatever else was changed meanwhile: it is urgent."""
        address = _address(request)
        await self.database.run(lambda c: self.actions.revoke(c, address, session.account))
        return see(f"/members/{address}")

    async def _show(
        self,
        request: Request,
        session: Session,
        *,
        conflict: StateError | None = None,
        wrong_rule: str = "",
        read: str | None = None,
        wrong_send: str = "",
        send: str | None = None,
        filled: Corrected | None = None,
    ) -> Response:
        address = _address(request)

        def work(connection: Connection) -> tuple[Member, list[audit.Entry]]:
            member = registry.get_member(connection, address)
            return member, audit.read(connection, member=str(address), most=_RECENT)

        member, entries = await self.database.run(work)
        at = now()
        row = await row_of(member, self.content.members, at)
        wrong = wrong_rule or wrong_send or (filled is not None and filled.wrong)
        return self.pages.page(
            request,
            "member.html",
            status=StateError.http_status if conflict else 400 if wrong else 200,
            session=session,
            member=member,
            state=row.state,
            row=row,
            entries=entries,
            conflict=sentence(str(conflict)) if conflict else "",
            wrong=wrong_rule,
            read=member.read if read is None else read,
            wrong_send=wrong_send,
            send=member.send if send is None else send,
            filled=filled or show_correction(member),
            token_shown=self.tokens.find(session, member, at) is not None,
        )


def _address(request: Request) -> VirtualAddress:
    try:
        return VirtualAddress.parse(request.path_params["address"])
    except UsageError as error:
        raise HTTPException(404) from error
