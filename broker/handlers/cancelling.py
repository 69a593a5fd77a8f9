"""A member says that it sends no more of a study: it was cancelled there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from attrs import frozen
from sqlalchemy import Connection

from broker.database.recipients import address, stop_fetching
from broker.handlers import grants
from broker.handlers.addressing import write_down
from broker.handlers.budgets import Budgets
from broker.handlers.interfaces import Parts
from broker.ingest.cancelled import CANCELLED
from broker.ingest.sent import SentStudy, cancel_sending, find_sent
from broker.members.registry import Member
from broker.trail import audit
from p2pacs.dataset.uids import is_uid
from p2pacs.errors import ForbiddenError, MalformedMessageError, ProtocolError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.host import Services
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages import messages
from p2pacs.wire.messages.messages import Query, Reply

log = structlog.get_logger(__name__)


@frozen
class CancelHooks:
    """What follows."""

    stop: Callable[[StudyId], Awaitable[None]]
    """Fetches and stores nothing more of a study; returns when that is so."""
    cancelled: Callable[[SentStudy], None]
    """Finds out how much of it came, and has that be a study of the PACS."""
    changed: Callable[[StudyId], Awaitable[None]]
    """Its recipients are others than before."""


class CancelService:
    """Answers members that cancel what they send.

    Args:
        parts: of the broker's answers.
        budgets: what a member may ask.
        hooks: what follows.
    """

    def __init__(self, parts: Parts, budgets: Budgets, hooks: CancelHooks) -> None:
        self._parts = parts
        self._budgets = budgets
        self._hooks = hooks

    def enter(self, services: Services) -> None:
        """Enter the handler, by message, among what a node answers."""
        services.queries[messages.CancelQuery] = self._answer

    async def _answer(self, member: VirtualAddress, query: Query) -> Reply:
        if not isinstance(query, messages.CancelQuery):
            raise ProtocolError("not a CancelQuery")
        return await self.cancel(member, query)

    async def cancel(
        self, member: VirtualAddress, query: messages.CancelQuery
    ) -> messages.CancelNoted:
        """Wait for nothing more of a study; saying it again changes nothing.

        Raises:
            ForbiddenError: another member sends it, or the broker finishes it without this one.
            MalformedMessageError: no UID.
            BusyError: the member asks too often.
        """
        self._budgets.take_grant(member)
        if not is_uid(query.uid):
            raise MalformedMessageError("not a Study Instance UID")
        study = self._parts.studies.id_of(query.uid)

        def work(connection: Connection) -> tuple[SentStudy | None, bool, str]:
            who = grants.asking_member(connection, member).member
            known = find_sent(connection, study)
            refusal = _refusal(who, known)
            if refusal:
                entry = _entry(who, study, query.uid, refusal, outcome=audit.REFUSED)
                audit.record(connection, entry)
            if refusal or known is None or not known.sending:  # else it came too late, or again
                return known, False, refusal
            _cancel(connection, who, known, query.count)
            return find_sent(connection, study), True, ""

        known, is_fresh, refusal = await self._parts.database.run(work)
        if refusal:
            log.warning("cancellation refused", study=study.short, member=str(member), why=refusal)
            raise ForbiddenError(f"study {study.short} {refusal}")
        if is_fresh and known is not None:
            log.info("sending cancelled", study=study.short, member=str(member))
            await self._hooks.stop(study)
            self._hooks.cancelled(known)
            await self._hooks.changed(study)
        return messages.CancelNoted(query.id, 0 if known is None else known.stored)


def _refusal(who: Member, known: SentStudy | None) -> str:
    """Why a member may not cancel a study; empty: it may."""
    if known is None:
        return ""
    if known.member != who.address:
        return "is not sent by this member"
    return "is finished without this member" if known.sending and known.adopted else ""


def _cancel(connection: Connection, who: Member, known: SentStudy, count: int) -> None:
    cancel_sending(connection, known.study, count)
    detail = f"{count} instances had come there"
    audit.record(connection, _entry(who, known.study, known.uid, detail))
    usual = Priority.INTERACTIVE
    changes = address(connection, known.study, (), usual, sender=who.address, actor=who.name)
    write_down(connection, who, known, changes, usual)
    stop_fetching(connection, known.study)


def _entry(
    who: Member, study: StudyId, uid: str, detail: str, outcome: str = audit.DONE
) -> audit.Entry:
    return audit.Entry(CANCELLED, who.name, who.address, study, uid, detail, outcome)
