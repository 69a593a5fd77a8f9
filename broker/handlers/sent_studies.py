"""Studies that members send: who may publish one, and what is reported of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import structlog
import trio
from attrs import evolve, frozen
from sqlalchemy import Connection

from broker.access.send_rules import SendRule, parse_send_rule
from broker.database.db import now
from broker.handlers import grants
from broker.handlers.budgets import Budgets
from broker.handlers.copies import Copy
from broker.handlers.interfaces import Parts, StudyPublisher
from broker.ingest.sent import SentStudy, begin_sending, find_sent, note_version
from broker.trail import audit
from p2pacs.catalogue.feed import decode_entry
from p2pacs.catalogue.records import StudyRecord
from p2pacs.dataset.uids import is_uid
from p2pacs.errors import (
    BusyError,
    DeadlineError,
    ForbiddenError,
    MalformedMessageError,
    P2PacsError,
    ProtocolError,
    UsageError,
)
from p2pacs.identity.keys import SigningKey, VerifyKey
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import TEXT
from p2pacs.publish.source import Detail
from p2pacs.study.delegation import Delegation, sign_delegation
from p2pacs.swarm.host import Services
from p2pacs.texts import clean
from p2pacs.wire.messages import messages
from p2pacs.wire.messages.messages import Query, Reply

log = structlog.get_logger(__name__)

SENT: Final = "study sent"
"""In the audit trail."""

LASTS: Final = 7 * 24 * 3600 * 1000
"""Milliseconds for which a member may sign the manifests of a study; then it asks anew."""

PACS_SECONDS: Final = 5.0
"""The PACS is asked whether it has a study that the catalogue does not; for no longer."""

_VERSIONS: Final = 2**32

_OF_PACS: Final = "is in the central PACS already: look it up, and send what is missing of it there"
_OF_OTHERS: Final = (
    "was sent by another hospital, or its UID is used twice: look it up before you send it"
)

_CANCELLED: Final = "was cancelled by the hospital that sends it: send it again there"

_ADOPTED: Final = "is finished without this member: send what is missing of it to the central PACS"


@frozen
class SentHooks:
    """What follows from a report."""

    listed: Callable[[StudyRecord], Awaitable[object]]
    """Enters a record in the catalogue."""
    expected: Callable[[StudyId, VirtualAddress], None]
    """This member may publish a study, of which nothing need be out yet."""
    wanted: Callable[[StudyId, VirtualAddress], None]
    """The broker fetches a study, which this member has."""
    replicate: Callable[[StudyId], None]
    """Has replicas fetch it, too."""
    held: Callable[[StudyId], Awaitable[int]]
    """The newest version that the broker holds in whole; 0 for none."""
    out: Callable[[StudyId], None]
    """A version is out: whom it is addressed to is told."""
    copies: Callable[[StudyId, int], Awaitable[list[Copy]]]
    """How far members are with it, of which this version is the newest."""
    resumed: Callable[[StudyId], None]
    """A member publishes a study (again)."""
    why: Callable[[StudyId], str]
    """Why the last try failed to bring it into the PACS; empty: none did."""


class SentStudyService:
    """Answers members that send studies.

    Args:
        parts: of the broker's answers.
        publisher: what the broker publishes itself.
        budgets: what a member may ask.
        key: signs delegations.
        hooks: what follows.
    """

    def __init__(
        self,
        parts: Parts,
        publisher: StudyPublisher,
        budgets: Budgets,
        key: SigningKey,
        hooks: SentHooks,
    ) -> None:
        self._parts = parts
        self._publisher = publisher
        self._budgets = budgets
        self._key = key
        self._hooks = hooks

    def enter(self, services: Services) -> None:
        """Enter the handlers, by message, among what a node answers."""
        services.queries[messages.SendQuery] = self._send
        services.queries[messages.SentReport] = self._report

    async def _send(self, member: VirtualAddress, query: Query) -> Reply:
        if not isinstance(query, messages.SendQuery):
            raise ProtocolError("not a SendQuery")
        return await self.send(member, query)

    async def _report(self, member: VirtualAddress, query: Query) -> Reply:
        if not isinstance(query, messages.SentReport):
            raise ProtocolError("not a SentReport")
        return await self.report(member, query)

    async def send(self, member: VirtualAddress, query: messages.SendQuery) -> Reply:
        """Let a member publish a study: its id, its key, and the leave to sign its manifests.

        Raises:
            ForbiddenError: its rule does not allow it, or the study is somebody else's.
            BusyError: the broker publishes it just now; or the member asks too often.
            MalformedMessageError: no UID, or no key.
        """
        self._budgets.take_grant(member)
        if not is_uid(query.uid):
            raise MalformedMessageError("not a Study Instance UID")
        study = self._parts.studies.id_of(query.uid)
        await self._admit(member, study, query)
        progress = self._publisher.publications.get(study)
        if progress is not None and not progress.over:
            raise BusyError(f"the broker publishes study {study.short} itself just now")
        # From here to the end nothing that the broker publishes can come in between.
        self._parts.sending.add(study)
        self._hooks.resumed(study)
        await self._parts.studies.ensure(query.uid)
        known = await self._parts.studies.find(study)
        version = 0 if known is None else known.version

        def work(connection: Connection) -> bytes:
            who = grants.asking_member(connection, member)
            if begin_sending(connection, study, query.uid, member):
                audit.record(connection, _entry(who, study, query))
            box_key = who.member.box_key
            return b"" if box_key is None else self._wrapped(connection, study, box_key)

        wrapped = await self._parts.database.run(work)
        self._hooks.expected(study, member)
        begins = now()
        delegation = Delegation(study, member, _key_of(query.key), version, begins, begins + LASTS)
        return messages.SendGrant(
            id=query.id,
            study=study.raw,
            wrapped_key=wrapped,
            delegation=sign_delegation(delegation, self._key),
            version=version,
            holders=[bytes(one) for one in self._parts.holders.of(study, member)],
        )

    def _wrapped(self, connection: Connection, study: StudyId, box_key: bytes) -> bytes:
        return self._parts.studies.wrapped(connection, study, box_key)

    async def _admit(
        self, member: VirtualAddress, study: StudyId, query: messages.SendQuery
    ) -> None:
        """Return if the member may send the study; a refusal is written down before it is told."""
        is_of_pacs = False
        if await self._parts.database.run(lambda c: find_sent(c, study)) is None:
            is_of_pacs = await self._is_in_pacs(study, query.uid)

        def work(connection: Connection) -> str | None:
            who = grants.asking_member(connection, member)
            why = _refusal(who, find_sent(connection, study), query, is_of_pacs=is_of_pacs)
            if why is not None:
                entry = evolve(_entry(who, study, query), outcome=audit.REFUSED, detail=why)
                audit.record(connection, entry)
            return why

        why = await self._parts.database.run(work)
        if why is not None:
            log.warning("study not taken", study=study.short, member=str(member), why=why)
            raise ForbiddenError(f"study {study.short} {why}")

    async def _is_in_pacs(self, study: StudyId, uid: str) -> bool:
        if await trio.to_thread.run_sync(self._parts.catalogue.get, study) is not None:
            return True
        try:
            with trio.fail_after(PACS_SECONDS):
                await self._parts.pacs.describe(uid, Detail.SERIES)
        except (P2PacsError, DeadlineError, trio.TooSlowError):
            return False  # it does not have it, or cannot tell: then the catalogue counts
        return True

    async def report(self, member: VirtualAddress, query: messages.SentReport) -> Reply:
        """List what a member has published of a study that it sends, and fetch it.

        Raises:
            ForbiddenError: it does not send this study.
            MalformedMessageError: what the catalogue should say is nothing, or of another study.
            BusyError: the member asks too often.
        """
        self._budgets.take_grant(member)
        if not 0 < query.version < _VERSIONS:
            raise MalformedMessageError("a version is a number above 0")
        study = StudyId(query.study)
        known = await self._parts.database.run(lambda c: find_sent(c, study))
        if known is None or known.member != member:
            raise ForbiddenError(f"study {study.short} is not sent by this member")
        if known.adopted:
            raise ForbiddenError(f"study {study.short} {_ADOPTED}")
        if known.cancelled is not None:
            raise ForbiddenError(f"study {study.short} {_CANCELLED}")
        if known.sending and known.version <= query.version:
            if (known.version, known.complete) != (query.version, query.complete):
                await self._list(known, query)
            now_known = await self._parts.database.run(lambda c: find_sent(c, study))
            if now_known is not None and now_known.sending:  # else it was cancelled meanwhile
                self._hooks.wanted(study, member)
                self._hooks.replicate(study)
        copies = await self._hooks.copies(study, max(query.version, known.version))
        return messages.SentNoted(
            id=query.id,
            held=await self._hooks.held(study),
            stored=known.stored,
            members=[bytes(one.member) for one in copies],
            versions=[one.version for one in copies],
            shares=[one.share for one in copies],
            why=clean(self._hooks.why(study))[:TEXT],
        )

    async def _list(self, known: SentStudy, query: messages.SentReport) -> None:
        entry = await trio.to_thread.run_sync(decode_entry, query.entry)
        if not isinstance(entry, StudyRecord) or (entry.study, entry.uid) != (
            known.study,
            known.uid,
        ):
            raise MalformedMessageError("the catalogue's entry is not of this study")
        version, complete = query.version, query.complete
        await self._hooks.listed(evolve(entry, version=version, wrapped_key=b""))
        await self._parts.studies.published(known.study, version, complete=complete)
        # Last: what is noted is not listed again when it is reported again.
        await self._parts.database.run(
            lambda c: note_version(c, known.study, version, complete=complete)
        )
        self._hooks.out(known.study)


def _key_of(raw: bytes) -> VerifyKey:
    try:
        return VerifyKey(raw)
    except (UsageError, ValueError) as error:
        raise MalformedMessageError("not a key to sign with") from error


def _refusal(
    who: grants.AskingMember,
    known: SentStudy | None,
    query: messages.SendQuery,
    *,
    is_of_pacs: bool,
) -> str | None:
    """Why a member may not send a study; None: it may."""
    rule = SendRule() if who.blind else parse_send_rule(who.member.send)
    if (denied := rule.denial(query.callers)) is not None:
        return f"may not be sent by {who.member.name} ({denied}): ask the administrator"
    if known is not None and known.member != who.member.address:
        return _OF_OTHERS
    if known is not None and known.adopted:
        return _ADOPTED
    return _OF_PACS if is_of_pacs else None


def _entry(who: grants.AskingMember, study: StudyId, query: messages.SendQuery) -> audit.Entry:
    origin = ", ".join(query.callers)
    return audit.Entry(
        SENT, who.member.name, who.member.address, study, query.uid, f"from {origin}"
    )
