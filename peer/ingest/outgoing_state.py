"""How far a study is that is sent from here, pure: out of the spool, and of what the peer that runs
knows besides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from attrs import define, field, frozen

from p2pacs.identity.directory import MemberRecord, Role
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.phrases import Phrase
from p2pacs.publish.progress import PublishProgress
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.texts import clean
from p2pacs.wire.messages.messages import SentNoted
from peer.spool.recipient_index import AddressedStudy
from peer.spool.records import SpooledStudy, StudyCommitment


class OutgoingState(StrEnum):
    """Where a study is on its way from who made it to the central PACS."""

    WAITING = "waiting"
    """No broker is linked: it is kept here."""
    COMING = "coming"
    """More of it came just now; what came is published meanwhile."""
    PUBLISHING = "publishing"
    """It is being published."""
    PUBLISHED = "published"
    """All of it is in the network, and on its way to the PACS."""
    STORED = "stored"
    """The PACS has all of it."""
    FAILING = "failing"
    """Something went wrong; it is tried again by itself."""
    REFUSED = "refused"
    """The broker lets nothing of it be published: somebody has to do something."""
    CANCELLED = "cancelled"
    """Somebody here wants it sent no further."""


@define
class Attempt:
    """What a peer knows of a study since its start, beside its spool; lost with the process."""

    progress: PublishProgress | None = None
    """Of the publication that is under way, or was the last one."""
    held: int = 0
    """Newest version that the broker holds in whole."""
    stored: int = 0
    """Newest version of which the PACS has all."""
    failure: str = ""
    """Why the last attempt failed; empty if it did not."""
    delayed: str = ""
    """Why the broker could not bring it into the PACS yet; empty if it did not fail."""
    again: float | None = None
    """When it is tried again: seconds since 1970."""

    @property
    def done(self) -> int:
        """Instances that are in the newest version, while a next one is made."""
        return 0 if self.progress is None else self.progress.instances_done

    def begin(self, progress: PublishProgress) -> None:
        """The broker lets it be published, and it is."""
        self.progress = progress
        self.succeeded()

    def noted(self, noted: SentNoted) -> None:
        """The broker said how far it is."""
        self.held, self.stored, self.delayed = noted.held, noted.stored, clean(noted.why)

    def failed(self, why: str, again: float) -> None:
        """It broke off, and is tried again then (seconds since 1970)."""
        self.failure, self.again = why, again

    def succeeded(self) -> None:
        """What was tried last went well."""
        self.failure, self.again = "", None


@frozen
class RecipientState:
    """A member that a study is addressed to, and how far it is."""

    name: str
    is_known: bool
    """Whether a member has this name now."""
    has_all: bool
    """Whether it says that it has the newest version in whole."""
    share: int
    """Thousandths of the newest version that it has, as far as the broker knows."""


@frozen
class StudyAddress:
    """To whom a study goes, and who else keeps it."""

    recipients: tuple[RecipientState, ...] = ()
    is_stat: bool = False
    """Whether they fetch it before all others."""
    replicas: int = 0
    """Replicas that have the newest version in whole."""


@frozen
class OutgoingStudy:
    """A study that is sent from here, as people are told of it."""

    number: int
    """By which it is named here, in the order in which they began."""
    uid: str = field(repr=False)
    study: StudyId | None
    """Its id in the network; None before a broker gave it one."""
    state: OutgoingState
    why: str
    """Why it failed, was refused or cancelled, is not in the PACS yet, or what somebody should look
    at; else empty."""
    again: float | None
    """When it is tried again: seconds since 1970; None: it is not, or not known."""
    instances: int
    bytes: int
    """Of the data sets that came."""
    published: int
    """Instances that are in the network."""
    spooled: int
    """Bytes that lie in the spool still."""
    beside: int
    """Instances that came under the UID of another one: they are kept here and not sent."""
    callers: tuple[str, ...]
    """AE titles that it came from."""
    began: int
    """When the first instance came: milliseconds since 1970 ..."""
    latest: int
    """... and the last one."""
    copies: tuple[str, ...]
    """Who has all of it beside this hospital: `BROKER`, `PACS`."""
    address: StudyAddress
    """To whom it goes beside the PACS."""
    was_delivered: bool
    """Whether the PACS had all that had come by then, before what came last."""
    is_delayed: bool = False
    """Whether the broker tried to bring it into the PACS, and could not yet."""
    commitments: tuple[StudyCommitment, ...] = ()
    """What who stored it here asked of Storage Commitment, the last request first."""

    @property
    def can_cancel(self) -> bool:
        """Whether there is something to stop."""
        return self.state not in _ENDED

    @property
    def can_retry(self) -> bool:
        """Whether a person can have it tried (again) now."""
        return self.state in _STOPPED or self.state is OutgoingState.FAILING

    @property
    def can_remove(self) -> bool:
        """Whether what lies here of it may be removed: nothing else becomes of that."""
        is_over = self.state in _STOPPED or self.state is OutgoingState.STORED
        return is_over and self.spooled > 0

    @property
    def needs_somebody(self) -> bool:
        """Whether nothing goes on unless a person does something."""
        return self.state is OutgoingState.REFUSED

    @property
    def is_told(self) -> bool:
        """Whether it is known how much of it is in the network: what is sent again may be there
        already, and of what the broker refused it does not say."""
        return self.state not in _STOPPED or not (self.was_delivered or self.needs_somebody)

    @property
    def is_stored(self) -> bool:
        """Whether the PACS has all of it."""
        return self.state is OutgoingState.STORED


BROKER: Final = "broker"
PACS: Final = "pacs"

_STOPPED: Final = frozenset({OutgoingState.REFUSED, OutgoingState.CANCELLED})
_ENDED: Final = _STOPPED | {OutgoingState.STORED}


def outgoing_study(
    spooled: SpooledStudy,
    attempt: Attempt,
    address: StudyAddress = StudyAddress(),
    commitments: Iterable[StudyCommitment] = (),
    *,
    now: int,
    linked: bool,
    quiet: float,
) -> OutgoingStudy:
    """How a study is.

    Args:
        spooled: what the spool says.
        attempt: what is known besides.
        address: to whom it goes.
        commitments: requests for Storage Commitment of it.
        now: milliseconds since 1970.
        linked: whether a broker is.
        quiet: seconds without a further instance after which a study counts as sent in whole.
    """
    coming = now - spooled.latest < 1000 * quiet
    state = _state(spooled, attempt, coming=coming, linked=linked)
    is_failing = state is OutgoingState.FAILING
    is_out = spooled.published >= spooled.newest
    copies = []
    if is_out and 0 < spooled.version <= max(attempt.held, attempt.stored):
        copies.append(BROKER)
    if state is OutgoingState.STORED:
        copies = [BROKER, PACS]
    return OutgoingStudy(
        number=spooled.number,
        uid=spooled.uid,
        study=spooled.study,
        state=state,
        why=_why(spooled, attempt, state),
        again=attempt.again if is_failing else None,
        instances=spooled.instances,
        bytes=spooled.bytes,
        published=spooled.instances if is_out else min(attempt.done, spooled.instances),
        spooled=spooled.spooled,
        beside=spooled.beside,
        callers=spooled.callers,
        began=spooled.began,
        latest=spooled.latest,
        copies=tuple(copies),
        address=address,
        was_delivered=0 < spooled.safe < spooled.newest,
        is_delayed=state is OutgoingState.PUBLISHED and bool(attempt.delayed),
        commitments=tuple(commitments),
    )


def _state(spooled: SpooledStudy, attempt: Attempt, *, coming: bool, linked: bool) -> OutgoingState:
    unless_any = (
        (spooled.cancelled is not None, OutgoingState.CANCELLED),
        (spooled.refused is not None, OutgoingState.REFUSED),
        (spooled.is_stored, OutgoingState.STORED),
        (linked and bool(attempt.failure), OutgoingState.FAILING),
        (not linked, OutgoingState.WAITING),
        (coming, OutgoingState.COMING),
        (spooled.newest > spooled.published, OutgoingState.PUBLISHING),
    )
    return next((state for holds, state in unless_any if holds), OutgoingState.PUBLISHED)


def _why(spooled: SpooledStudy, attempt: Attempt, state: OutgoingState) -> str:
    if state is OutgoingState.CANCELLED:
        return Phrase("cancelled by %(person)s", person=spooled.cancelled or "")
    if state is OutgoingState.REFUSED:
        return spooled.refused or ""
    if state is OutgoingState.FAILING:
        return attempt.failure
    if state is OutgoingState.PUBLISHED and attempt.delayed:
        return attempt.delayed
    if spooled.mixed:
        return Phrase("its instances name different patients: correct that in the PACS")
    return ""


def study_address(
    addressed: AddressedStudy, version: int, members: Mapping[VirtualAddress, MemberRecord]
) -> StudyAddress:
    """To whom a study goes, by the names of members.

    Args:
        addressed: what is known of that.
        version: newest that was published here.
        members: all, by their addresses.
    """
    states = {one.member: one for one in addressed.copies}

    def has_all(member: VirtualAddress) -> bool:
        return member in states and states[member].version >= version > 0

    named = [
        RecipientState(
            members[one].name if one in members else str(one),
            is_known=True,
            has_all=has_all(one),
            share=1000 if has_all(one) else states[one].share if one in states else 0,
        )
        for one in addressed.members
    ]
    named.sort(key=lambda one: one.name)
    lost = [RecipientState(name, False, False, 0) for name in addressed.unknown]
    replicas = [one for one in states if one in members and members[one].role is Role.REPLICA]
    return StudyAddress(
        recipients=(*named, *lost),
        is_stat=bool(named) and addressed.recipients.priority is Priority.STAT,
        replicas=sum(map(has_all, replicas)),
    )
