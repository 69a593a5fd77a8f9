"""The page of all members."""

from __future__ import annotations

from attrs import frozen
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from broker.config import BrokerSettings
from broker.database.db import BrokerDatabase, now
from broker.database.pacs_state import PacsState, pacs_phrase, read_pacs
from broker.members import registry
from broker.members.registry import Member
from broker.pages.content import MemberKnowledge
from broker.pages.members.listing import (
    ROLES,
    STATES,
    MemberRow,
    counts,
    read_search,
    select_rows,
)
from p2pacs.accounts.sessions import Session
from p2pacs.ids import VirtualAddress
from p2pacs.languages import said
from p2pacs.texts import clean
from p2pacs.web.pages import Pages


@frozen
class MemberListViews:
    """The list of members, for somebody who is signed in."""

    database: BrokerDatabase
    broker: VirtualAddress
    settings: BrokerSettings
    pages: Pages
    known: MemberKnowledge

    async def members(self, request: Request, session: Session) -> Response:
        """All members, or those that are looked for; and how the PACS is."""

        def work(connection: Connection) -> tuple[list[Member], PacsState]:
            return registry.list_members(connection), read_pacs(connection, self.broker)

        search = read_search(request.query_params)
        members, pacs = await self.database.run(work)
        rows = [await row_of(member, self.known, now()) for member in members]
        settings = self.settings
        return self.pages.page(
            request,
            "members.html",
            session=session,
            search=search,
            page=select_rows(rows, search),
            counts=counts(rows),
            states=STATES,
            roles=ROLES,
            pacs=pacs,
            pacs_words=said(pacs_phrase(pacs, str(settings.central_pacs), settings.aet)),
        )


async def row_of(member: Member, known: MemberKnowledge, at: int) -> MemberRow:
    """A member and what is known of it now."""
    state = member.state(at)
    holding = await known.holding(member.address)
    program = known.program(member.address) if state == "linked" else ""
    told = None if state == "linked" else known.last(member.address)
    return MemberRow(member, state, holding, clean(program), told)
