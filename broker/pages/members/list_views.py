"""The page of all members."""

from __future__ import annotations

from attrs import frozen
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from broker.config import BrokerSettings
from broker.database.db import BrokerDatabase, now
from broker.database.pacs_state import PacsState, pacs_words, read_pacs
from broker.members import registry
from p2pacs.accounts.sessions import Session
from p2pacs.ids import VirtualAddress
from p2pacs.web.pages import Pages


@frozen
class MemberListViews:
    """The list of members, for somebody who is signed in."""

    database: BrokerDatabase
    broker: VirtualAddress
    settings: BrokerSettings
    pages: Pages

    async def members(self, request: Request, session: Session) -> Response:
        """All members, and how the PACS is."""

        def work(connection: Connection) -> tuple[list[registry.Member], PacsState]:
            return registry.list_members(connection), read_pacs(connection, self.broker)

        members, pacs = await self.database.run(work)
        settings = self.settings
        return self.pages.page(
            request,
            "members.html",
            session=session,
            members=members,
            now=now(),
            pacs=pacs,
            pacs_words=pacs_words(pacs, str(settings.central_pacs), settings.aet),
        )
