"""Which studies are being published, and how many at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

import structlog
import trio
from attrs import frozen

from broker.pacs.adapter import PacsAdapter
from p2pacs.catalogue.records import StudyRecord
from p2pacs.concurrency.budget import Budget
from p2pacs.errors import (
    DeadlineError,
    NotFoundError,
    P2PacsError,
    PacsBusyError,
    PacsError,
    PacsUnreachableError,
    StateError,
    StudyNotFoundError,
)
from p2pacs.identity.keys import SigningKey
from p2pacs.ids import StudyId
from p2pacs.limits import MIB
from p2pacs.publish.coder import Coder, SliceCoder, code_slice_plain
from p2pacs.publish.context import PublishContext
from p2pacs.publish.progress import PublishProgress, PublishStage
from p2pacs.publish.publication import Publication
from p2pacs.publish.source import Description, StudyKeySource
from p2pacs.publish.version_writer import PublishHooks
from p2pacs.store import ChunkStore
from p2pacs.study.builder import DEFAULT_CHUNK_BYTES
from p2pacs.study.manifest import sign_root

log = structlog.get_logger(__name__)

_AWAY: Final = (PacsUnreachableError, PacsBusyError, DeadlineError)
"""A PACS that does not answer: nothing is wrong with what is published."""


@frozen
class PublisherTuning:
    """What a broker spends on publishing."""

    parallel: int = 2
    """Studies that are retrieved at once: one uses all cores, two hide the waits of each other."""
    budget_bytes: int = 8 * MIB
    """Data sets between PACS and builder, over all studies; what DICOM receives ahead is apart."""
    retry_seconds: tuple[float, ...] = (2.0, 10.0, 30.0)
    """Pauses before a publication that broke off goes on, as whoever follows it waits; after the
    last one without anything new it has failed."""
    remembered: int = 256
    """Publications that ended and are still shown, and compared again."""
    compare_seconds: float = 900.0
    """After so long a remembered study is compared with the PACS again, by a list of its
    instances: who fetched it follows its versions."""
    times: int = 10_000
    """Studies of which it is known when they were read in whole."""
    read_seconds: float = 6 * 3600.0
    """After so long a study that is asked for is read again in whole and compared byte for byte:
    a list does not tell of an instance that was replaced under its UID by a similar one."""


async def _not_here(_study: StudyId) -> bool:
    return False


async def _no_room() -> bool:
    return False


async def _untold(_progress: PublishProgress) -> None:
    return


async def _nothing(_uid: str) -> None:
    return


async def _nobody(_record: StudyRecord) -> None:
    return


class Publisher:
    """Stages studies on demand. `run` must be running.

    Args:
        pacs: where studies come from.
        store: where chunks and roots go.
        studies: ids, keys and announced versions.
        signing_key: signs manifest roots.
        coder: codes one instance.
        slice_coder: codes a slice of a large one.
        updated: tells the swarm that a study has a newer root (`Engine.updated`).
        completed: gets the record of a study when all of it is out.
        incomplete: told of a publication that found out that something is missing.
        gone: told the UID of a study that the PACS says it does not have.
        recover: fetches what was published of a study back from other members, when the
            store lost it; whether that worked.
        make_room: recycles studies when the store is full; whether anything came free.
        is_sent: whether a member publishes a study now: it is left alone.
    """

    def __init__(
        self,
        pacs: PacsAdapter,
        store: ChunkStore,
        studies: StudyKeySource,
        signing_key: SigningKey,
        coder: Coder,
        *,
        updated: Callable[[StudyId], Awaitable[None]],
        completed: Callable[[StudyRecord], Awaitable[None]] = _nobody,
        incomplete: Callable[[PublishProgress], Awaitable[None]] = _untold,
        gone: Callable[[str], Awaitable[None]] = _nothing,
        recover: Callable[[StudyId], Awaitable[bool]] = _not_here,
        make_room: Callable[[], Awaitable[bool]] = _no_room,
        is_sent: Callable[[StudyId], bool] = lambda _: False,
        slice_coder: SliceCoder = code_slice_plain,
        chunk_bytes: int = DEFAULT_CHUNK_BYTES,
        tuning: PublisherTuning = PublisherTuning(),
    ) -> None:
        async def announce(study: StudyId, version: int, complete: bool) -> None:
            await studies.published(study, version, complete=complete)
            await updated(study)

        self._studies = studies
        self._completed = completed
        self._incomplete = incomplete
        self._is_sent = is_sent
        self._gone = gone
        self._context = PublishContext(
            source=pacs,
            store=store,
            studies=studies,
            sign=partial(sign_root, key=signing_key),
            verifier=signing_key.public,
            hooks=PublishHooks(announce, make_room),
            recover=recover,
            budget=Budget(tuning.budget_bytes),
            coder=coder,
            slice_coder=slice_coder,
            chunk_bytes=chunk_bytes,
        )
        self._tuning = tuning
        self._slots = trio.CapacityLimiter(tuning.parallel)
        self._reading = trio.CapacityLimiter(1)
        self._ended: dict[StudyId, float] = {}
        self._read: dict[StudyId, float] = {}
        self._started = 0.0
        self._publications: dict[StudyId, PublishProgress] = {}
        self.ended: Counter[PublishStage] = Counter()
        """How many publications ended how, since the start."""
        self._again: set[StudyId] = set()
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Publish what is staged until cancelled; what is out then stays."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._started = trio.current_time()
                for uid in await self._studies.unfinished():
                    self.stage(uid)
                task_status.started()
                while True:
                    await trio.sleep(self._tuning.compare_seconds / 15)
                    await self._compare_again()
        finally:
            self._nursery = None

    async def _compare_again(self) -> None:
        """Compare remembered studies with the PACS that were not for a while; one at a time, so
        that what members ask for does not wait behind all of them."""
        before = trio.current_time() - self._tuning.compare_seconds
        for study in [study for study, at in self._ended.items() if at <= before]:
            del self._ended[study]
            one = self._publications.get(study)
            if one is not None and one.version:
                again = self.stage(one.uid)
                if again is not None:
                    await again.wait_over()

    @property
    def publications(self) -> Mapping[StudyId, PublishProgress]:
        """Publications under way, and the last ones that ended."""
        return self._publications

    def stage(
        self, uid: str, *, everything: bool = False, asked: bool = False
    ) -> PublishProgress | None:
        """Publish a study, or what the PACS has that is not published yet.

        Args:
            uid: Study Instance UID.
            everything: ask for all instances again, and publish those that changed.
            asked: somebody wants to read it now: everything, if that was not done for a while.

        Returns:
            The publication of this study that is under way, or a new one; None while a member
            publishes it.

        Raises:
            StateError: the publisher is not running.
        """
        study = self._studies.id_of(uid)
        if self._is_sent(study):
            return None
        read = self._read.get(study, self._started)
        if asked and trio.current_time() - read >= self._tuning.read_seconds:
            everything = True
        current = self._publications.get(study)
        if current is not None and not current.over:
            if everything and not current.everything:
                self._again.add(study)
            return current
        return self._start(PublishProgress(study, uid, everything))

    def _start(self, progress: PublishProgress) -> PublishProgress:
        if self._nursery is None:
            raise StateError("the publisher is not running")
        self._publications.pop(progress.study, None)
        self._publications[progress.study] = progress
        ended = [study for study, one in self._publications.items() if one.over]
        for study in ended[: -self._tuning.remembered]:
            del self._publications[study]
            self._ended.pop(study, None)
        self._nursery.start_soon(self._work, progress)
        return progress

    async def _work(self, progress: PublishProgress) -> None:
        error = await self._attempts(progress)
        if isinstance(error, _AWAY) and progress.version:
            study, why = progress.study.short, str(error)
            log.info("what is out stays until the PACS answers", study=study, why=why)
        elif error is not None:
            log.error("publication failed", study=progress.study.short, why=str(error))
        elif progress.bytes_read:
            log.info(
                "study published",
                study=progress.study.short,
                version=progress.version,
                instances=progress.instances_done,
                left_out=progress.left_out,
            )
        if progress.missing is not None:
            await self._incomplete(progress)
        if isinstance(error, StudyNotFoundError):
            await self._gone(progress.uid)
        progress.end(error)
        self.ended[progress.stage] += 1
        if not isinstance(error, NotFoundError):
            self._ended[progress.study] = trio.current_time()
        if progress.study in self._again:
            self._again.discard(progress.study)
            self._start(PublishProgress(progress.study, progress.uid, everything=True))

    async def _note(self, progress: PublishProgress, described: Description) -> None:
        """All is out."""
        if progress.everything or progress.is_new:
            self._read.pop(progress.study, None)
            self._read[progress.study] = trio.current_time()
            while len(self._read) > self._tuning.times:
                del self._read[next(iter(self._read))]
        await self._completed(described.record(progress.study, progress.version))

    async def _attempts(self, progress: PublishProgress) -> P2PacsError | None:
        """Publish, and go on after errors of the PACS if somebody may be following."""
        publication = Publication(self._context, progress)
        failures, read = 0, 0
        while True:
            try:
                async with self._reading if progress.everything else self._slots:
                    last = failures == len(self._tuning.retry_seconds)
                    described = await publication.run(last=last)
                await self._note(progress, described)
            except (PacsError, DeadlineError) as error:
                failures = failures + 1 if progress.bytes_read == read else 1
                read = progress.bytes_read
                if failures > len(self._tuning.retry_seconds) or not progress.version:
                    return error
                log.warning("publication broke off", study=progress.study.short, why=str(error))
            except P2PacsError as error:
                return error
            else:
                return None
            await trio.sleep(self._tuning.retry_seconds[failures - 1])
