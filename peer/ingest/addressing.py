"""Studies that are sent from here go to members: the broker is told to whom, and says how far each
of them is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import structlog
import trio
from attrs import frozen

from p2pacs.concurrency.signals import Bell, Pause, Watch
from p2pacs.concurrency.tasks import wait_any
from p2pacs.concurrency.urgency import Haste
from p2pacs.errors import AccessError, NotFoundError, P2PacsError, ProtocolError, UsageError
from p2pacs.identity.directory import Directory, MemberRecord
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import RECIPIENTS
from p2pacs.phrases import Phrase
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages.messages import AddressAnswer, AddressQuery, SentNoted, SentReport
from peer.ingest.outgoing_parts import AskBroker
from peer.ingest.urgencies import Urgencies
from peer.spool.index import SpoolIndex
from peer.spool.recipient_index import AddressedStudy, CopyState, StudyRecipients, told_of
from peer.spool.recipient_rules import (
    RecipientRule,
    Recipients,
    Resolved,
    readers,
    recipients_of,
    resolve,
    why_nobody,
)
from peer.spool.records import SpooledStudy

log = structlog.get_logger(__name__)


@frozen
class AddressingTuning:
    """How the broker is asked."""

    answer_seconds: float = 20.0
    """For the broker to answer."""
    first_look_seconds: float = 2.0
    """Before the first look how far the recipients are, once the PACS has the study; each next
    pause is twice as long ..."""
    look_seconds: float = 300.0
    """... up to this."""
    retry_seconds: float = 30.0
    """After something failed; over when a broker is linked again."""
    followed_seconds: float = 14 * 24 * 3600.0
    """After the last instance came, or its address: who does not have it by then is not waited for
    any more."""


class StudyAddressing:
    """To whom studies go. `run` must be running."""

    def __init__(
        self,
        index: SpoolIndex,
        rules: Sequence[RecipientRule],
        ask_broker: AskBroker,
        directory: Callable[[], Directory],
        *,
        me: VirtualAddress,
        tuning: AddressingTuning = AddressingTuning(),
    ) -> None:
        """Nobody is told before `run`.

        Args:
            index: of the spool.
            rules: to whom studies go of which nobody said it.
            ask_broker: asks a broker.
            directory: who is a member now.
            me: this member.
            tuning: how the broker is asked.
        """
        self.tuning = tuning
        self._index = index
        self._rules = rules
        self._ask_broker = ask_broker
        self._directory = directory
        self._me = me
        self.urgencies = Urgencies()
        """Of the studies that are being sent."""
        self._fresh: set[str] = set()
        self._running: set[str] = set()
        self._bell = Bell()
        self._watch = Watch()
        self._pause = Pause()

    # ------------------------------------------------------------ what is said here

    async def address(
        self, uid: str, names: Sequence[str], priority: Priority = Priority.INTERACTIVE
    ) -> None:
        """A study goes to these members, and to no others: whether it is sent already, was sent, or
        will be.

        Args:
            uid: Study Instance UID.
            names: of members, or their virtual addresses; none: to nobody in particular.
            priority: how urgently they fetch it.

        Raises:
            NotFoundError: no member that reads studies has such a name.
            UsageError: these are too many.
            LocalError: it cannot be kept.
        """
        self.check(names)
        said = Recipients(tuple(dict.fromkeys(names)), priority)
        put = partial(self._index.recipients.put, uid, said, by_rule=False)
        await trio.to_thread.run_sync(put)
        self.urgencies.put(uid, priority)
        self.look(uid)

    async def urge(self, uid: str, priority: Priority) -> None:
        """A study is so urgent, whoever it goes to: sent already, or not yet.

        Args:
            uid: Study Instance UID.
            priority: how urgently it goes home, and to whom it goes.

        Raises:
            LocalError: it cannot be kept.
        """
        await trio.to_thread.run_sync(self._index.recipients.urge, uid, priority)
        self.urgencies.put(uid, priority)
        self.look(uid)

    def check(self, names: Sequence[str]) -> None:
        """Whether studies can be addressed to these members.

        Raises:
            NotFoundError: no member that reads studies has such a name.
            UsageError: these are too many.
        """
        if len(names) > RECIPIENTS:
            raise UsageError(
                Phrase("a study is addressed to at most %(most)s members", most=RECIPIENTS)
            )
        directory = self._directory()
        if unknown := resolve(names, directory, self._me).unknown:
            raise NotFoundError(why_nobody(unknown[0], directory, self._me))

    async def urgency(self, study: SpooledStudy) -> Haste:
        """How urgent a study is: as somebody said, or by the rules."""
        found = self.urgencies.of(study.uid)
        await self._said(study)
        return found

    async def of(self, uid: str) -> AddressedStudy:
        """To whom a study goes, and how far each is with it."""
        return (await self.of_all([uid]))[uid]

    async def of_all(self, uids: Sequence[str]) -> dict[str, AddressedStudy]:
        """The same of several studies."""
        found = await trio.to_thread.run_sync(self._index.recipients.find_all, uids)
        return {uid: self._addressed(*found.get(uid, (None, []))) for uid in uids}

    def _addressed(
        self, known: StudyRecipients | None, copies: Sequence[CopyState]
    ) -> AddressedStudy:
        if known is None:
            return AddressedStudy(Recipients(), True, (), (), tuple(copies))
        found = resolve(known.recipients.names, self._directory(), self._me)
        return AddressedStudy(
            known.recipients, known.by_rule, found.unknown, found.addresses, tuple(copies)
        )

    def readers(self) -> list[MemberRecord]:
        """The members that a study can be addressed to, in the order of their names."""
        return sorted(readers(self._directory(), self._me), key=lambda one: one.name)

    def names(self) -> dict[VirtualAddress, MemberRecord]:
        """All members, by their addresses."""
        return {one.address: one for one in self._directory().members}

    # ------------------------------------------------------------ what is heard

    def look(self, uid: str) -> None:
        """Something else is known of a study: the broker lets it be published, or who it is for."""
        self._fresh.add(uid)
        self._watch.changed()
        self._bell.ring()

    def linked(self) -> None:
        """A broker is there (again): what failed is tried now."""
        self._pause.end()

    async def noted(self, uid: str, noted: SentNoted) -> None:
        """The broker said how far members are."""
        seen = time.time_ns() // 1_000_000
        told = zip(noted.members, noted.versions, noted.shares, strict=True)
        states = [
            CopyState(VirtualAddress(raw), version, share, seen) for raw, version, share in told
        ]
        await trio.to_thread.run_sync(self._index.recipients.note, uid, states)

    # ------------------------------------------------------------ what is done

    async def run(self) -> None:
        """Tell the broker, and ask it how far they are, until cancelled."""
        self._fresh.update(await trio.to_thread.run_sync(self._index.recipients.list_waited_for))
        async with trio.open_nursery() as nursery:
            while True:
                for uid in self._fresh - self._running:
                    self._running.add(uid)
                    nursery.start_soon(self._work, uid)
                await self._bell.wait()

    async def _work(self, uid: str) -> None:
        """Tell the broker, and follow a study until all have it."""
        looks = self.tuning.first_look_seconds
        try:
            while True:
                self._fresh.discard(uid)
                ended = self._pause.ended
                study = await trio.to_thread.run_sync(self._index.study, uid)
                if study is None or study.study is None or _is_stopped(study):
                    return  # it is looked at again when it may be published
                try:
                    if await self._is_over(study, study.study):
                        await trio.to_thread.run_sync(self._index.recipients.over, uid)
                        return
                    pause, looks = looks, min(2 * looks, self.tuning.look_seconds)
                except AccessError as error:
                    log.warning("a study is not addressed", study=study.study.short, why=str(error))
                    return
                except P2PacsError as error:
                    log.info("recipients not told", study=study.study.short, why=str(error))
                    pause = self.tuning.retry_seconds
                is_fresh = partial(self._fresh.__contains__, uid)
                await wait_any(
                    partial(self._pause.wait, pause, ended),
                    partial(self._watch.until, is_fresh),
                )
        finally:
            self._running.discard(uid)
            self._bell.ring()

    async def _is_over(self, study: SpooledStudy, of: StudyId) -> bool:
        """Tell the broker to whom a study goes, if it is to be told; whether all have it."""
        known = await self._said(study)
        if known is None:
            return True
        found = resolve(known.recipients.names, self._directory(), self._me)
        addresses, priority = found.addresses[:RECIPIENTS], known.recipients.priority
        what = told_of(priority, addresses)
        if what != known.told:
            if found.unknown:
                log.warning("no such recipient", study=of.short, names=list(found.unknown))
            query = AddressQuery(0, of.raw, [one.raw for one in addresses], int(priority))
            reply = await self._ask_broker(query, timeout=self.tuning.answer_seconds)
            if not isinstance(reply, AddressAnswer):
                raise ProtocolError("the broker answered an AddressQuery with something else")
            await trio.to_thread.run_sync(self._index.recipients.told, study.uid, what)
            log.info("study addressed", study=of.short, recipients=len(reply.accepted))
        since = max(study.latest, known.said) / 1000
        if time.time() - since > self.tuning.followed_seconds:
            return True
        return await self._have_all(study, of, found)

    async def _said(self, study: SpooledStudy) -> StudyRecipients | None:
        """To whom a study goes, and how urgently: from now on what waits goes by it."""
        known = await self._decided(study)
        if known is not None:
            self.urgencies.put(study.uid, known.recipients.priority)
        return known

    async def _decided(self, study: SpooledStudy) -> StudyRecipients | None:
        """To whom a study goes: as somebody said, or by the rules; None: to nobody."""
        index = self._index.recipients
        known = await trio.to_thread.run_sync(index.find, study.uid)
        if known is not None and not known.by_rule:
            return known
        first = await trio.to_thread.run_sync(self._index.list_instances, study.uid, 0, 1)
        if not first or not self._rules:
            return known
        said = recipients_of(self._rules, study.callers, first[0].attributes)
        if known is not None:  # what was sent to somebody is not taken back by the settings
            said = known.recipients.with_more(said)
        if not said.names or (known is not None and said == known.recipients):
            return known
        await trio.to_thread.run_sync(partial(index.put, study.uid, said, by_rule=True))
        return await trio.to_thread.run_sync(index.find, study.uid)

    async def _have_all(self, study: SpooledStudy, of: StudyId, named: Resolved) -> bool:
        """Whether these have the newest version. A name that no member has may be one's later."""
        members = set(named.addresses)
        if not members and not named.unknown:
            return True
        if study.is_open:
            return False  # more may come; its reports ask how far they are
        if members and not await self._are_whole(study, members):
            query = SentReport(0, of.raw, study.version, complete=True, entry=b"")
            reply = await self._ask_broker(query, timeout=self.tuning.answer_seconds)
            if not isinstance(reply, SentNoted):
                raise ProtocolError("the broker answered a SentReport with something else")
            await self.noted(study.uid, reply)
        return not named.unknown and await self._are_whole(study, members)

    async def _are_whole(self, study: SpooledStudy, members: set[VirtualAddress]) -> bool:
        """Whether these have the newest version, as it is known here."""
        copies = await trio.to_thread.run_sync(self._index.recipients.copies, study.uid)
        return members <= {one.member for one in copies if one.version >= study.version > 0}


def _is_stopped(study: SpooledStudy) -> bool:
    """Whether nothing of a study is sent now."""
    return study.refused is not None or study.cancelled is not None
