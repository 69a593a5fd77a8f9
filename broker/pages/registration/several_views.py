"""The pages on which several members are registered at once, from a CSV file.

A file is looked through first, and every row is shown with what is wrong in it; then all are
registered, or none. Every POST has checked its CSRF token before (`p2pacs.pages.door`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen
from sqlalchemy import Connection
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response

from broker.admins.actions import AdminActions
from broker.database.db import BrokerDatabase, now
from broker.members import registry
from broker.members.registry import Member, Registration
from broker.pages.registration.previews import Previews
from broker.pages.registration.shown_tokens import ShownTokens
from broker.registration.member_sheet import BYTES, ROWS, MemberSheet, read_sheet
from broker.registration.token_sheet import token_sheet
from p2pacs.accounts.sessions import Session
from p2pacs.errors import UsageError
from p2pacs.languages import _
from p2pacs.limits import KIB
from p2pacs.pages.forms import see, sentence, text_of
from p2pacs.web.pages import Pages

PATH: Final = "/members/several"
TOKENS: Final = f"{PATH}/tokens"
BODY: Final = 2 * BYTES + 16 * KIB
"""Bytes of a form with a file: a textarea's line ends and a part's head come besides."""


@frozen
class SeveralViews:
    """Registering several at once, for somebody who is signed in."""

    database: BrokerDatabase
    actions: AdminActions
    pages: Pages
    tokens: ShownTokens
    previews: Previews

    async def new(self, request: Request, session: Session) -> Response:
        """The form for a file."""
        return self._form(request, session)

    async def preview(self, request: Request, session: Session, form: FormData) -> Response:
        """What is in the file, row by row, and what is wrong with it."""
        typed = text_of(form, "text")
        try:
            sheet = await self._read(await _content(form))
        except UsageError as error:
            return self._form(request, session, wrong=sentence(str(error)), text=typed)
        if sheet.wrong:
            return self._preview(request, session, sheet, text=typed)
        name = self.previews.keep(session, sheet.registrations)
        return self._preview(request, session, sheet, name=name)

    async def register(self, request: Request, session: Session, form: FormData) -> Response:
        """Register all that a preview showed, and go on to the tokens; a second time registers
        nobody."""
        registrations = self.previews.take(session, text_of(form, "preview"))
        if registrations is None:
            if self.tokens.addresses(session):
                return see(TOKENS)
            wrong = _(
                "This preview was used, or is too old: nobody was registered now."
                " Send the file again."
            )
            return self._form(request, session, wrong=wrong, status=409)
        try:
            made = await self.database.run(lambda c: self._register(c, registrations, session))
        except UsageError as error:  # somebody else registered meanwhile
            wrong = _(
                "Nobody was registered. %(why)s Send the file again.", why=sentence(str(error))
            )
            return self._form(request, session, wrong=wrong, status=409)
        at = now()
        for member, token in made:
            self.tokens.keep(session, member, token, at)
        return see(TOKENS)

    async def shown(self, request: Request, session: Session) -> Response:
        """The tokens that can still be seen; a reload shows them again."""
        return self.pages.page(
            request, "tokens.html", session=session, made=await self._made(session)
        )

    async def download(self, _request: Request, session: Session, _form: FormData) -> Response:
        """The same as a CSV file."""
        return Response(
            token_sheet(await self._made(session)),
            media_type="text/csv",
            headers={"Content-Disposition": 'attachment; filename="p2pacs-tokens.csv"'},
        )

    async def put_away(self, _request: Request, session: Session, _form: FormData) -> Response:
        """The tokens were copied: they are shown no more."""
        for address in self.tokens.addresses(session):
            self.tokens.forget(session, address)
        return see("/members")

    # ------------------------------------------------------------ what they do

    async def _read(self, raw: bytes) -> MemberSheet:
        def work(connection: Connection) -> MemberSheet:
            return read_sheet(raw, self.actions.taken_names(connection))

        return await self.database.run(work)

    def _register(
        self, connection: Connection, registrations: Sequence[Registration], session: Session
    ) -> list[tuple[Member, str]]:
        return self.actions.register_all(connection, registrations, session.account)

    async def _made(self, session: Session) -> list[tuple[Member, str]]:
        """Members of which this session may still see the token, and that."""
        wanted = self.tokens.addresses(session)

        def work(connection: Connection) -> list[Member]:
            found = {one.address: one for one in registry.list_members(connection)}
            return [found[address] for address in wanted if address in found]

        members, at = await self.database.run(work), now()
        found = ((member, self.tokens.find(session, member, at)) for member in members)
        return [(member, token) for member, token in found if token is not None]

    # ------------------------------------------------------------ pages

    def _form(
        self,
        request: Request,
        session: Session,
        *,
        wrong: str = "",
        text: str = "",
        status: int = 400,
    ) -> Response:
        return self.pages.page(
            request,
            "several.html",
            status=status if wrong else 200,
            session=session,
            wrong=wrong,
            text=text,
            rows=ROWS,
            kib=BYTES // KIB,
        )

    def _preview(
        self,
        request: Request,
        session: Session,
        sheet: MemberSheet,
        *,
        name: str = "",
        text: str = "",
    ) -> Response:
        return self.pages.page(
            request,
            "preview.html",
            status=400 if sheet.wrong else 200,
            session=session,
            sheet=sheet,
            preview=name,
            text=text,
        )


async def _content(form: FormData) -> bytes:
    """The file, or the text that was pasted instead.

    Raises:
        UsageError: there is neither, or both.
    """
    given, pasted = form.get("file"), text_of(form, "text")
    raw = await given.read(BYTES + 1) if isinstance(given, UploadFile) else b""
    if raw and pasted:
        raise UsageError(_("choose a file, or paste its text: not both"))
    if not raw and not pasted:
        raise UsageError(_("choose a file, or paste its text"))
    return raw or pasted.encode()
