"""A member says to whom what it sends is addressed: these may read it, and shall fetch it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy import Connection

from broker.access.send_rules import parse_send_rule
from broker.database.recipients import AddressChanges, address
from broker.handlers import grants
from broker.handlers.budgets import Budgets
from broker.handlers.grants import AskingMember
from broker.handlers.interfaces import Parts
from broker.ingest.sent import SentStudy, find_sent, note_priority
from broker.members import registry
from broker.members.registry import Member
from broker.trail import audit
from broker.trail.audit import ADDRESS_ENDED, ADDRESSED, address_detail
from p2pacs.errors import ForbiddenError, NotFoundError, ProtocolError
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.host import Services
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages import messages
from p2pacs.wire.messages.messages import Query, Reply

log = structlog.get_logger(__name__)


class AddressService:
    """Answers members that address what they send.

    Args:
        parts: of the broker's answers.
        budgets: what a member may ask.
        changed: told of each study of which the recipients are others than before.
        urged: told how urgent a study is.
    """

    def __init__(
        self,
        parts: Parts,
        budgets: Budgets,
        changed: Callable[[StudyId], Awaitable[None]],
        urged: Callable[[StudyId, Priority], None],
    ) -> None:
        self._parts = parts
        self._budgets = budgets
        self._changed = changed
        self._urged = urged

    def enter(self, services: Services) -> None:
        """Enter the handler, by message, among what a node answers."""
        services.queries[messages.AddressQuery] = self._answer

    async def _answer(self, member: VirtualAddress, query: Query) -> Reply:
        if not isinstance(query, messages.AddressQuery):
            raise ProtocolError("not an AddressQuery")
        return await self.address(member, query)

    async def address(
        self, member: VirtualAddress, query: messages.AddressQuery
    ) -> messages.AddressAnswer:
        """Note to whom a study is addressed; what the member said of it before is over.

        Raises:
            ForbiddenError: it does not send this study.
            BusyError: it asks too often.
        """
        self._budgets.take_grant(member)
        self._budgets.take_records(member, len(query.recipients))
        study, priority = StudyId(query.study), Priority(query.priority)

        def work(connection: Connection) -> tuple[list[Member], AddressChanges, bool]:
            who = grants.asking_member(connection, member)
            known = find_sent(connection, study)
            if known is None or not _may_address(who, known):
                audit.record(connection, _refused(who, study))
                return [], AddressChanges(), False
            wanted = map(VirtualAddress, dict.fromkeys(query.recipients))
            found = [_recipient(connection, one) for one in wanted if one != member]
            accepted = [one for one in found if one is not None]
            changes = address(
                connection,
                study,
                [one.address for one in accepted],
                priority,
                sender=member,
                actor=who.member.name,
            )
            note_priority(connection, study, priority)
            write_down(connection, who.member, known, changes, priority)
            return accepted, changes, True

        accepted, changes, is_sender = await self._parts.database.run(work)
        if not is_sender:
            log.warning("study not addressed", study=study.short, member=str(member))
            raise ForbiddenError(f"study {study.short} is not sent by this member")
        self._urged(study, priority)
        if changes:
            log.info("study addressed", study=study.short, recipients=len(accepted))
            await self._changed(study)
        return messages.AddressAnswer(query.id, [bytes(one.address) for one in accepted])


def _may_address(who: AskingMember, known: SentStudy) -> bool:
    """Whether a study is the member's own and not cancelled, and it may (still) send anything."""
    rule = parse_send_rule(who.member.send)
    is_own = known.member == who.member.address and known.cancelled is None
    return is_own and (rule.everything or bool(rule.titles))


def _recipient(connection: Connection, address: VirtualAddress) -> Member | None:
    """The member, if a study can be addressed to it."""
    try:
        found = registry.get_member(connection, address)
    except NotFoundError:
        return None
    is_there = found.joined is not None and found.revoked is None
    return found if found.role is Role.HOSPITAL and is_there else None


def write_down(
    connection: Connection,
    who: Member,
    known: SentStudy,
    changes: AddressChanges,
    priority: Priority,
) -> None:
    """Write down who addressed a study to whom, and to whom no longer."""
    for one in sorted(changes.added | changes.urged):
        to = registry.get_member(connection, one).name
        audit.record(connection, _entry(ADDRESSED, who, known, one, address_detail(to, priority)))
    for one in sorted(changes.ended):
        to = registry.get_member(connection, one).name
        audit.record(connection, _entry(ADDRESS_ENDED, who, known, one, address_detail(to)))


def _entry(
    what: str, who: Member, known: SentStudy, about: VirtualAddress, detail: str
) -> audit.Entry:
    return audit.Entry(
        what, who.name, who.address, known.study, known.uid, detail, audit.DONE, about
    )


def _refused(who: AskingMember, study: StudyId) -> audit.Entry:
    member = who.member
    return audit.Entry(ADDRESSED, member.name, member.address, study, outcome=audit.REFUSED)
