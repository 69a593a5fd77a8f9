"""The page of the audit trail.

Every POST has checked its CSRF token before (`p2pacs.pages.door`).
"""

from __future__ import annotations

from attrs import frozen
from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from broker.database.db import BrokerDatabase
from broker.members import audit
from p2pacs.accounts.sessions import Session
from p2pacs.errors import NotFoundError, StudyNotFoundError
from p2pacs.pages.forms import sentence, text_of
from p2pacs.web.pages import Pages

_ENTRIES = 200
"""Entries of the audit trail on one page."""


@frozen
class AuditViews:
    """The trail and its search, for somebody who is signed in."""

    database: BrokerDatabase
    pages: Pages

    async def trail(self, request: Request, session: Session) -> Response:
        """The audit trail."""
        return await self._trail(request, session, member="", uid="")

    async def search(self, request: Request, session: Session, form: FormData) -> Response:
        """The audit trail of a member or a study; by POST, as a UID must not stand in a URL."""
        member, uid = text_of(form, "member"), text_of(form, "uid")
        return await self._trail(request, session, member=member, uid=uid)

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
