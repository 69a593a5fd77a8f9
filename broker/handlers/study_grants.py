"""Studies for members: may they have one, its key, where it is, and having it published."""

from __future__ import annotations

from typing import Final

import structlog
import trio
from attrs import frozen
from sqlalchemy import Connection

from broker.database.db import BrokerDatabase
from broker.database.recipients import addressed_by
from broker.handlers import grants
from broker.handlers.budgets import Budgets
from broker.handlers.grants import AskingMember
from broker.handlers.interfaces import MemberLinks, Parts, StudyPublisher
from broker.ingest.sent import find_sent
from broker.trail import audit
from p2pacs.catalogue.listing import encode_listing
from p2pacs.catalogue.records import StudyRecord
from p2pacs.catalogue.views import study_view
from p2pacs.dataset.json_model import number
from p2pacs.errors import (
    DatabaseLockedError,
    DeadlineError,
    DiskFullError,
    ForbiddenError,
    LocalError,
    P2PacsError,
    PacsError,
    PacsUnreachableError,
    ProtocolError,
    StudyNotFoundError,
)
from p2pacs.identity.directory import Role
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.publish import PublishProgress
from p2pacs.publish.progress import PublishStage
from p2pacs.study.manifest import load_root
from p2pacs.wire.messages import messages
from p2pacs.wire.messages.messages import Reply

log = structlog.get_logger(__name__)

_LOCAL: Final = (DiskFullError, DatabaseLockedError)
"""Why a publication can fail at the broker itself: it is tried again whenever somebody asks."""

FIRST_VERSION: Final = 20.0
"""Seconds that a member waits for a study's first version; after that it comes as news."""

COMPARED: Final = 1.0
"""Seconds that a member waits until what is published was compared with the PACS, so that it is
not given what is gone; after that it comes as news. Whoever opens it in a viewer, and is to see an
image within seconds, does not wait for anything of what is out: comparing 300 instances took all of
this, and before its beginning what is out had to be read."""

FRESH: Final = 5.0
"""Seconds for which a study that was compared with the PACS is not compared again, unless the
catalogue tells something else of it by then."""

RECENT: Final = 120.0
"""Seconds for which a failure of the PACS is the reason that is told to who asks again and gets no
further: twice what a PACS may be silent."""

PATIENCE: Final = 3600.0
"""Seconds for which a replica is sent to members that say they hold all of a study which was
recycled here: after that it is published anew, as a member's word alone counts for nothing."""


@frozen
class _Compared:
    """When a study was last compared with the PACS, and what the catalogue said of it."""

    at: float
    version: int
    count: int | None

    def is_of(self, record: StudyRecord) -> bool:
        """Whether it was this study: one that was deleted and stored again is another one."""
        return self.count == _count(record) and self.version <= record.version


def _count(record: StudyRecord) -> int | None:
    return number(study_view(record), "NumberOfStudyRelatedInstances")


def _may_have(connection: Connection, who: AskingMember, record: StudyRecord) -> bool:
    """Whether a member may have a study: to keep it blindly or to read it, or as it was made
    there."""
    if who.blind:
        return True
    address = who.member.address
    if who.may_read(record, addressed_by(connection, record.study, address)):
        return True
    known = find_sent(connection, record.study)
    return known is not None and known.member == address


async def record_missing(database: BrokerDatabase, progress: PublishProgress) -> None:
    """Write down that instances of a study are missing, or are not any more: for the pages."""
    left_out = progress.missing
    if left_out is None:
        return
    detail = f"{left_out.count} instances are missing; {left_out.why}"
    entry = audit.Entry(
        what="study published",
        actor="-",
        study=progress.study,
        uid=progress.uid,
        detail=detail if left_out.count else "nothing is missing any more",
        outcome=audit.FAILED if left_out.count else audit.DONE,
    )
    try:
        await database.run(lambda c: audit.record(c, entry))
    except LocalError as error:  # nobody gets less because of that
        log.warning("not written down", study=progress.study.short, error=str(error))


def _cannot(study: StudyId, error: P2PacsError) -> P2PacsError:
    """The error as members are told it. A deadline of the PACS's is none of the broker's: who
    hears of that asks other members. What the PACS is named in says enough, and an Error Comment
    has 64 characters."""
    if isinstance(error, (PacsError, DeadlineError)):
        return PacsUnreachableError(str(error)) if isinstance(error, DeadlineError) else error
    return type(error)(f"the broker cannot publish study {study.short}: {error}")


def _raise_if_no_further(progress: PublishProgress, stuck: PublishProgress) -> None:
    """Say why the last publication failed if this one has not come further in good time."""
    if progress.version <= stuck.version and stuck.problem is not None:
        raise _cannot(progress.study, stuck.problem)


class StudyGrants:
    """Answers queries about single studies."""

    def __init__(
        self, parts: Parts, links: MemberLinks, publisher: StudyPublisher, budgets: Budgets
    ) -> None:
        self._parts = parts
        self._links = links
        self._publisher = publisher
        self._budgets = budgets
        self._compared: dict[StudyId, _Compared] = {}
        self._sent_on: dict[tuple[VirtualAddress, StudyId], float] = {}

    async def study(self, member: VirtualAddress, query: messages.StudyQuery) -> Reply:
        """Key, manifest and holders of a study that the member may have; stages it.

        Raises:
            StudyNotFoundError: the catalogue does not have it.
            ForbiddenError: the member's rule does not allow it.
            PacsError: it is not published yet, and the PACS does not give it.
            BusyError: the member asks too often.
        """
        self._budgets.take_grant(member)
        record = await self._record(StudyId(query.study))
        who = await self._admit(member, record, query.purpose)
        stuck = self._stuck(record.study)
        known = await self._parts.studies.find(record.study)
        published = known is not None and known.version > 0
        waits = stuck is not None or query.purpose != messages.VIEW
        waits = waits or not published or not self._parts.store.holds(record.study)
        if waits:
            progress = self._stage(record, who, published=published, again=stuck is not None)
            if progress is not None:
                await self._wait(progress, stuck, query.purpose)
                # Both may be others by now: a correction shows by whom it may be read.
                record = await self._record(record.study)
                who = await self._admit(member, record, query.purpose)
        wrapped = await self._parts.database.run(
            lambda c: grants.grant(c, self._parts.studies, who, record, query.purpose)
        )
        if not who.blind:
            self.replicate(record.study)
        root, segment = await self._manifest(record.study)
        others = self._parts.holders.of(record.study, member)
        self._parts.holders.granted(member, record.study)
        if not waits:  # the answer goes out first: comparing takes this program's time
            self._stage(record, who, published=True, again=False)
        return messages.StudyGrant(
            id=query.id,
            wrapped_key=wrapped,
            root=root,
            holders=[bytes(one) for one in others],
            segment=segment,
        )

    async def _wait(
        self, progress: PublishProgress, stuck: PublishProgress | None, purpose: str
    ) -> None:
        """Until there is something to give; see `_published`.

        Raises:
            P2PacsError: why there is not.
        """
        with trio.move_on_after(FIRST_VERSION) as waiting:
            whole = stuck is not None and isinstance(stuck.problem, _LOCAL)
            compared = 0.0 if purpose == messages.VIEW else COMPARED
            await self._published(progress, whole=whole, compared=compared)
        if waiting.cancelled_caught and stuck is not None:
            _raise_if_no_further(progress, stuck)

    def _stuck(self, study: StudyId) -> PublishProgress | None:
        """The last publication of a study, if it was this machine's fault that it failed, or if
        the PACS failed just now before anything was out: one that hangs fails after longer than
        anybody is kept waiting."""
        last = self._publisher.publications.get(study)
        if last is None or last.stage is not PublishStage.FAILED:
            return None
        is_new = trio.current_time() - last.ended_at < RECENT
        is_of_pacs = not last.version and isinstance(last.problem, (PacsError, DeadlineError))
        return last if isinstance(last.problem, _LOCAL) or (is_of_pacs and is_new) else None

    async def _published(self, progress: PublishProgress, *, whole: bool, compared: float) -> None:
        """Until a first version is out, or all of it: who would wait for more hears why it fails.

        Args:
            progress: of its publication.
            whole: whether all of it is waited for.
            compared: seconds in which it may be compared with the PACS.

        Raises:
            DiskFullError, DatabaseLockedError: there is no room for it here, or it cannot be noted.
            PacsError: the PACS does not give it.
            StudyNotFoundError: the PACS does not have it any more.
        """
        try:
            await progress.wait_version()
            if whole:
                await progress.wait()
        except (*_LOCAL, DeadlineError) as error:
            raise _cannot(progress.study, error) from error
        with trio.move_on_after(compared):
            await progress.wait_compared()
        if progress.over and isinstance(progress.problem, StudyNotFoundError):
            raise progress.problem

    async def _record(self, study: StudyId) -> StudyRecord:
        record = await trio.to_thread.run_sync(self._parts.catalogue.get, study)
        if record is None:
            raise StudyNotFoundError(
                f"study {study.short} is not in the catalogue: deleted, or too new"
            )
        return record

    async def _admit(
        self, member: VirtualAddress, record: StudyRecord, purpose: str
    ) -> AskingMember:
        """The asker, if it may have this study; a refusal is written down before it is told."""

        def work(connection: Connection) -> tuple[AskingMember, ForbiddenError | None]:
            who = grants.asking_member(connection, member)
            if _may_have(connection, who, record):
                return who, None
            return who, grants.refuse(connection, who, record, purpose)

        who, refusal = await self._parts.database.run(work)
        if refusal is not None:
            log.warning("study refused", member=who.member.name, study=record.study.short)
            raise refusal
        return who

    def _stage(
        self, record: StudyRecord, who: AskingMember, *, published: bool, again: bool
    ) -> PublishProgress | None:
        """Have it published; also what the PACS got since, unless that was just looked at.

        Args:
            record: of the study.
            who: asks.
            published: whether a version of it was ever out.
            again: whether the last attempt failed.

        Returns:
            The publication; None if there is none: it is out, or a member publishes it.
        """
        out = published and self._parts.store.holds(record.study)
        now = trio.current_time()
        if published and not out and who.blind and self._is_elsewhere(record.study, who, now):
            return None
        for study in [one for one in self._compared if not self._is_fresh(one, now)]:
            del self._compared[study]
        last = self._compared.get(record.study)
        fresh = last is not None and last.is_of(record)
        if out and not again and (who.blind or fresh):
            return None
        progress = self._publisher.stage(record.uid, asked=True)
        if progress is not None:
            self._compared[record.study] = _Compared(now, record.version, _count(record))
        return progress

    def _is_fresh(self, study: StudyId, now: float) -> bool:
        """Whether it was just compared with the PACS; a publication does so until its end."""
        last, at = self._publisher.publications.get(study), self._compared[study].at
        if last is not None and last.stage is PublishStage.PUBLISHED:
            at = max(at, last.ended_at)
        return now - at < FRESH

    def _is_elsewhere(self, study: StudyId, who: AskingMember, now: float) -> bool:
        """Whether a replica can have a study that was recycled here from other members.

        Otherwise each attempt of a replica would fetch it back, to be recycled again.
        """
        sent_on = self._sent_on  # the oldest first
        while sent_on and now - sent_on[first := next(iter(sent_on))] >= 2 * PATIENCE:
            del sent_on[first]
        replica = who.member.address
        if not self._parts.holders.whole(study, replica):
            return False
        return now - sent_on.setdefault((replica, study), now) < PATIENCE

    async def _manifest(self, study: StudyId) -> tuple[bytes, bytes]:
        """The newest root, and its first segment; empty where there is none."""
        if not self._parts.store.holds(study):
            return b"", b""
        files = await self._parts.store.study(study)
        if files.root is None:
            return b"", b""
        root = load_root(files.root, self._parts.broker_keys, study)
        first = await files.segment(root.segments[0]) if root.segments else None
        return files.root, first or b""

    def replicate(self, study: StudyId) -> None:
        """Replicas that do not have it shall fetch it, while it travels to who asked."""
        have = set(self._parts.holders.of(study))
        for record in self._parts.book.directory.members:
            if record.role is Role.REPLICA and record.address not in have:
                self._links.tell(record.address, messages.Replicate(study.raw))

    async def instances(self, member: VirtualAddress, query: messages.InstancesQuery) -> Reply:
        """Series and instances of a study, as the PACS lists them now.

        Raises:
            ForbiddenError: the member's rule does not allow the study.
            PacsError: the PACS does not answer.
            BusyError: the member asks too often.
        """
        self._budgets.take_grant(member)
        record = await self._record(StudyId(query.study))
        await self._admit_reader(member, record)
        described = await self._parts.pacs.describe(record.uid)
        series, more = await trio.to_thread.run_sync(encode_listing, described.series)
        return messages.Instances(id=query.id, series=series, more=more)

    async def _admit_reader(self, member: VirtualAddress, record: StudyRecord) -> None:
        who = await self._admit(member, record, "list")
        if who.blind:
            raise ProtocolError("a blind replica has no need of instances")
