"""The page on which access rules are tried: may a member read a study, and what would a rule allow.

Nothing is changed here, so auditors use it, too; forms are sent by POST alone, as what is typed is
a patient's. Every POST has checked its CSRF token before (`p2pacs.pages.door`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

import trio
from attrs import field, frozen
from sqlalchemy import Connection, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from broker.access.rules import Decision, parse_rule
from broker.access.try_out import LOOKED, RuleReach, decide_member, reach_of
from broker.access.words import why
from broker.database.db import BrokerDatabase
from broker.database.recipients import addressed_by
from broker.database.schema import grants
from broker.members import registry
from broker.members.registry import Member
from broker.pages.shown_study import ShownStudy
from p2pacs.accounts.sessions import Session
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.records import StudyRecord
from p2pacs.errors import StudyNotFoundError, UsageError
from p2pacs.languages import _
from p2pacs.pages.forms import sentence, text_of
from p2pacs.pages.search.found_studies import find_studies
from p2pacs.pages.search.search_form import StudySearch
from p2pacs.web.pages import Pages

PATH: Final = "/access"

FIELDS: Final = ("member", "uid", "patient", "accession", "rule")


@frozen
class TriedStudy:
    """Whether a member may read a study."""

    member: Member
    shown: ShownStudy
    decision: Decision
    why: Sequence[str] = field(repr=False)
    granted: int | None
    """When it was given the study's key first, if it ever was."""


@frozen
class AccessViews:
    """Trying out access rules, for somebody who is signed in."""

    database: BrokerDatabase
    pages: Pages
    catalogue: CatalogueIndex
    looking: trio.CapacityLimiter = field(factory=lambda: trio.CapacityLimiter(1))
    """One rule at a time is tried on the whole catalogue."""

    async def ask(self, request: Request, session: Session) -> Response:
        """The forms."""
        typed = {"member": request.query_params.get("member", "")}
        return await self._page(request, session, typed)

    async def study(self, request: Request, session: Session, form: FormData) -> Response:
        """May this member read this study? Several studies that were found are offered first."""
        typed = {name: text_of(form, name) for name in FIELDS}
        try:
            found = await self._found(typed)
            if len(found) > 1:
                shown = [ShownStudy.of(record) for record in found]
                return await self._page(request, session, typed, found=shown)
            tried = await self._tried(typed["member"], found[0])
        except UsageError as error:
            wrong, status = sentence(str(error)), error.http_status
            return await self._page(request, session, typed, wrong=wrong, status=status)
        return await self._page(request, session, typed, tried=tried)

    async def rule(self, request: Request, session: Session, form: FormData) -> Response:
        """How far would this rule reach? Nothing is saved."""
        typed = {name: text_of(form, name) for name in FIELDS}
        try:
            rule = parse_rule(typed["rule"])
        except UsageError as error:
            said = sentence(str(error))
            return await self._page(request, session, typed, wrong_rule=said, status=400)

        def work() -> RuleReach:
            return reach_of(rule, self.catalogue.newest({}))

        reach = await trio.to_thread.run_sync(work, limiter=self.looking)
        return await self._page(
            request, session, typed, reach=reach, first=[ShownStudy.of(one) for one in reach.first]
        )

    async def _found(self, typed: dict[str, str]) -> list[StudyRecord]:
        """The studies that are meant, one at least.

        Raises:
            UsageError: nothing was typed, or no study is so.
        """
        if uid := typed["uid"]:
            record = await trio.to_thread.run_sync(self.catalogue.by_uid, uid)
            found = [] if record is None else [record]
        elif typed["patient"] or typed["accession"]:
            search = StudySearch(patient=typed["patient"], accession=typed["accession"])
            found = (await find_studies(self.catalogue, search, 1, _today())).records
        else:
            raise UsageError(
                _("say which study: its UID, its patient's ID or its accession number")
            )
        if not found:
            raise StudyNotFoundError(_("no such study is in the catalogue: deleted, or too new"))
        return found

    async def _tried(self, member: str, record: StudyRecord) -> TriedStudy:
        def work(connection: Connection) -> tuple[Member, int | None, str | None]:
            found = registry.find_member(connection, member)
            query = select(grants.c.granted).where(
                grants.c.study == record.study.raw, grants.c.address == found.address.raw
            )
            granted = connection.execute(query).scalar_one_or_none()
            return found, granted, addressed_by(connection, record.study, found.address)

        if not member:
            raise UsageError(_("choose a member"))
        found, granted, actor = await self.database.run(work)
        decision = decide_member(
            found.role,
            found.read,
            record,
            revoked=found.revoked is not None,
            addressed_by=actor,
        )
        shown = ShownStudy.of(record)
        said = [sentence(one) for one in why(decision, record)]
        return TriedStudy(found, shown, decision, said, granted)

    async def _page(
        self, request: Request, session: Session, typed: dict[str, str], **more: Any
    ) -> Response:
        members = await self.database.run(registry.list_members)
        status = more.pop("status", 200)
        usual = {"wrong": "", "wrong_rule": "", "found": (), "tried": None, "reach": None}
        return self.pages.page(
            request,
            "access.html",
            status=status,
            session=session,
            members=members,
            typed=dict.fromkeys(FIELDS, "") | typed,
            most=LOOKED,
            **usual | {"first": ()} | more,
        )


def _today() -> date:
    return datetime.now().astimezone().date()
