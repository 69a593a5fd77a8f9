"""What people see of the studies that are sent from here, and what they do about one."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import trio
from attrs import evolve, frozen

from p2pacs.dataset.json_model import Json
from p2pacs.errors import NotFoundError, StateError
from p2pacs.phrases import Phrase
from p2pacs.swarm.scheduling.priority import Priority
from peer.ingest.addressing import StudyAddressing
from peer.ingest.outgoing_state import Attempt, OutgoingStudy, outgoing_study, study_address
from peer.spool.recipient_index import AddressedStudy
from peer.spool.recipient_rules import Recipients
from peer.spool.records import SpooledStudy, StudyCommitment
from peer.spool.spool import Spool


class StudiesGoOut(Protocol):
    """Who sends them (`peer.ingest.outgoing.OutgoingStudies`)."""

    @property
    def quiet(self) -> float:
        """Seconds without a further instance after which a study counts as sent in whole."""

    def attempt(self, uid: str) -> Attempt:
        """What is known of a study since the start."""

    def anew(self, study: SpooledStudy) -> None:
        """Look at a study again, now."""

    async def stop(self, uid: str) -> None:
        """Publish nothing more of a study that was cancelled; returns when that is so."""


@frozen
class OutgoingDesk:
    """The studies that are sent from here."""

    spool: Spool
    outgoing: StudiesGoOut
    addressing: StudyAddressing
    linked: Callable[[], bool]
    """Whether a broker is."""
    note: Callable[[str, str, str], Awaitable[None]]
    """Keeps who did what, with which study (by its number)."""
    commitments: Callable[[Sequence[str]], Awaitable[Mapping[str, Sequence[StudyCommitment]]]]
    """How requests for Storage Commitment of these studies stand, by Study Instance UID."""

    async def find(self, uids: Sequence[str]) -> list[OutgoingStudy]:
        """Those of these Study Instance UIDs; of others nothing."""

        def work() -> list[SpooledStudy]:
            found = map(self.spool.index.study, uids)
            return [one for one in found if one is not None]

        return await self._told(await trio.to_thread.run_sync(work))

    async def list_studies(self, ended: int | None = None) -> list[OutgoingStudy]:
        """The studies: first those that do not go on by themselves, then the newest first.

        Args:
            ended: so many at most of those that are in the PACS; None: all.
        """
        spooled = await trio.to_thread.run_sync(self.spool.index.list_studies)
        chosen, left = list[SpooledStudy](), len(spooled) if ended is None else ended
        for one in reversed(spooled):
            if one.spooled or not one.is_stored or left > 0:
                chosen.append(one)
                left -= one.is_stored
        shown = await self._told(chosen)
        return sorted(shown, key=lambda one: not one.needs_somebody)

    async def get(self, number: int) -> OutgoingStudy:
        """One study.

        Raises:
            NotFoundError: there is none of this number.
        """
        (told,) = await self._told([await self._spooled(number)])
        return told

    async def attributes(self, study: OutgoingStudy) -> Json:
        """What a C-FIND may tell of a study: who is in it, and what it shows."""
        return await trio.to_thread.run_sync(self.spool.index.attributes, study.uid)

    async def retry(self, number: int, by: str) -> OutgoingStudy:
        """Have a study sent that was refused or cancelled, or try again now what failed.

        Raises:
            NotFoundError: there is none of this number.
            StateError: it is on its way, or there.
        """
        told = await self.get(number)
        if not told.can_retry:
            raise StateError(Phrase("this study is on its way, or in the PACS: nothing to retry"))
        await self.note(by, "sending retried", str(number))
        await trio.to_thread.run_sync(self.spool.index.retry, told.uid)
        self.outgoing.anew(await self._spooled(number))
        return await self.get(number)

    async def cancel(self, number: int, by: str) -> OutgoingStudy:
        """Have nothing more of a study taken, published or given to anybody, and the broker told,
        now or as soon as there is one. What is in the PACS stays there.

        Raises:
            NotFoundError: there is none of this number.
            StateError: there is nothing to stop.
        """
        told = await self.get(number)
        if not told.can_cancel:
            raise StateError(Phrase("nothing is sent of this study now: it cannot be cancelled"))
        await self.note(by, "sending cancelled", str(number))
        await trio.to_thread.run_sync(self.spool.index.cancel, told.uid, by)
        await self.outgoing.stop(told.uid)
        return await self.get(number)

    async def remove(self, number: int, by: str) -> None:
        """Remove what lies here of a study: unless it was delivered before, it may be all there is.

        Raises:
            NotFoundError: there is none of this number.
            StateError: it is on its way, or nothing lies here.
        """
        told = await self.get(number)
        if not told.can_remove:
            raise StateError(
                Phrase("only what was refused or cancelled can be removed, or was kept beside")
            )
        await self.note(by, "spool emptied", str(number))
        await trio.to_thread.run_sync(self.spool.remove, told.uid)

    async def address(
        self, number: int, names: Sequence[str], priority: Priority, by: str
    ) -> OutgoingStudy:
        """Have a study go to these members, and to no others.

        Raises:
            NotFoundError: there is none of this number, or no such member.
            UsageError: these are too many.
        """
        told = await self.get(number)
        await self.addressing.address(told.uid, names, priority)
        await self.note(by, "study addressed", f"{number}: {', '.join(names)}")
        return await self.get(number)

    async def address_more(
        self, number: int, names: Sequence[str], priority: Priority, by: str
    ) -> OutgoingStudy:
        """Have a study go to these members, too; at least as urgently as it went before.

        Raises:
            NotFoundError: there is none of this number, or no such member.
            UsageError: these are too many.
        """
        told = await self.get(number)
        known = await self.addressing.of(told.uid)
        before = evolve(known.recipients, names=self._names(known))
        wanted = before.with_more(Recipients(tuple(names), priority))
        self.addressing.check(names)
        return await self.address(number, wanted.names, wanted.priority, by)

    def _names(self, known: AddressedStudy) -> tuple[str, ...]:
        """Whom a study goes to, without names that no member has any more."""
        return tuple(one for one in known.recipients.names if one not in known.unknown)

    async def _spooled(self, number: int) -> SpooledStudy:
        found = await trio.to_thread.run_sync(self.spool.index.named, number)
        if found is None:
            raise NotFoundError(Phrase("no study of this number is sent from here"))
        return found

    async def _told(self, spooled: Sequence[SpooledStudy]) -> list[OutgoingStudy]:
        addressed = await self.addressing.of_all([one.uid for one in spooled])
        committed = await self.commitments([one.uid for one in spooled])
        members, now, linked = self.addressing.names(), time.time_ns() // 1_000_000, self.linked()
        return [
            outgoing_study(
                one,
                self.outgoing.attempt(one.uid),
                study_address(addressed[one.uid], one.version, members),
                committed.get(one.uid, ()),
                now=now,
                linked=linked,
                quiet=self.outgoing.quiet,
            )
            for one in spooled
        ]
