"""From a source to the version writer: instances are coded on all cores and leave in order."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import aclosing
from typing import Final

import trio
from attrs import define, field

from p2pacs.concurrency.budget import Budget
from p2pacs.concurrency.groups import single_error
from p2pacs.concurrency.urgency import USUAL, Haste
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.large import LargeInstance
from p2pacs.errors import DeadlineError, NotFoundError, P2PacsError, PacsDataError, PacsError
from p2pacs.publish.coder import Coder, SliceCoder, code_slice_plain
from p2pacs.publish.large import LargeJob
from p2pacs.publish.progress import PublishProgress
from p2pacs.publish.source import Description, FailedInstance, InstanceSource
from p2pacs.publish.version_writer import VersionWriter
from p2pacs.study.coding import CodedInstance

_AHEAD: Final = 256
"""Instances between source and builder, however small."""

_TOGETHER: Final = 32
"""Instances handed to the builder at once: each visit to a thread costs a tenth of a
millisecond."""


@define(eq=False)
class _Job:
    """An instance on its way."""

    uid: str
    size: int
    """Bytes of the budget that it holds."""
    large: LargeJob | None = None
    """Comes in slices: it is done when the last of them was laid."""
    done: trio.Event = field(factory=trio.Event)
    result: CodedInstance | PacsDataError | None = None


class Pipeline:
    """Brings instances of one study from a source to the writer.

    Args:
        source: where they come from.
        writer: where they go.
        progress: is kept up to date.
        budget: bytes on their way, shared with other studies.
        coder: codes one instance; as many at once as the budget admits.
        slice_coder: codes a slice of one that is too large to be in memory.
        urgency: who is more urgent has its turn at the budget before it.
    """

    def __init__(
        self,
        source: InstanceSource,
        writer: VersionWriter,
        progress: PublishProgress,
        *,
        budget: Budget,
        coder: Coder,
        slice_coder: SliceCoder = code_slice_plain,
        urgency: Haste = USUAL,
    ) -> None:
        self._source = source
        self._writer = writer
        self._progress = progress
        self._budget = budget
        self._coder = coder
        self._slice_coder = slice_coder
        self._urgency = urgency
        self._larges: list[LargeJob] = []
        self._held = 0

    async def run(
        self, study: Description, wanted: Collection[str] | None, handled: set[str]
    ) -> None:
        """Retrieve these SOP Instance UIDs, or all (None).

        Args:
            study: from the source.
            wanted: which of its instances.
            handled: gets the UIDs that came, usable or not, and those that do not come.

        Raises:
            PacsError, DeadlineError, NotFoundError: the retrieval broke off; what came before
                is in the writer.
            DiskFullError: see `VersionWriter.cut`.
        """
        broken: P2PacsError | None = None
        send, receive = trio.open_memory_channel[_Job](_AHEAD)
        try:
            with single_error():
                async with trio.open_nursery() as nursery, send:
                    nursery.start_soon(self._bind, receive, handled)
                    try:
                        async with self._source.retrieve(study, wanted) as stream:
                            async for item in stream:
                                if isinstance(item, FailedInstance):
                                    self._fail(item, handled)
                                else:
                                    await self._put(item, nursery, send)
                    except (PacsError, DeadlineError, NotFoundError) as error:
                        broken = error
        finally:
            self._budget.release(self._held)
            self._held = 0
            while self._larges:
                self._larges.pop().close()
        if broken is not None:
            raise broken

    def _fail(self, failed: FailedInstance, handled: set[str]) -> None:
        self._progress.fail(failed.error, failed.uid)
        if failed.uid is not None:
            handled.add(failed.uid)

    async def _put(
        self,
        instance: EncodedInstance | LargeInstance,
        nursery: trio.Nursery,
        send: trio.MemorySendChannel[_Job],
    ) -> None:
        if isinstance(instance, LargeInstance):
            large = LargeJob(instance, self._budget, self._slice_coder, self._urgency)
            self._larges.append(large)
            self._progress.bytes_read += instance.size
            await send.send(_Job(instance.sop_instance_uid, 0, large))
            await large.read(nursery)  # what comes behind it must not take its room in the budget
            return
        job = _Job(instance.sop_instance_uid, len(instance.data))
        await self._budget.acquire(job.size, self._urgency)
        self._held += job.size
        self._progress.bytes_read += job.size
        nursery.start_soon(self._code, job, instance)
        await send.send(job)

    async def _code(self, job: _Job, instance: EncodedInstance) -> None:
        try:
            job.result = await self._coder(instance)
        except PacsDataError as error:
            job.result = error
        job.done.set()

    async def _bind(self, receive: trio.MemoryReceiveChannel[_Job], handled: set[str]) -> None:
        """Take jobs in the order in which they came, and cut versions in time."""
        job: _Job | None = None
        while True:
            ready: list[_Job] = []
            with trio.move_on_at(self._writer.due):
                try:
                    job = job or await receive.receive()
                except trio.EndOfChannel:
                    return
                if job.large is None:
                    await job.done.wait()
                    ready, job = _ready(job, receive)
            if job is not None and job.large is not None and not ready:
                await self._lay(job, job.large)
                ready, job = [job], None
            if ready:
                handled.update(one.uid for one in ready)
                await self._take(ready)
            await self._writer.cut_if_due()

    async def _lay(self, job: _Job, large: LargeJob) -> None:
        """Have the writer take a large instance slice by slice, and cut versions in time."""
        wrong: PacsDataError | None = None
        async with aclosing(large.slices()) as slices:
            async for blobs in slices:
                if wrong is None:
                    try:
                        await self._writer.lay(*large.uids, blobs)
                    except PacsDataError as error:
                        wrong = error
                await self._writer.cut_if_due()
        self._larges.remove(large)
        job.result = wrong or large.finished()
        job.done.set()

    async def _take(self, jobs: list[_Job]) -> None:
        coded = [job.result for job in jobs if isinstance(job.result, CodedInstance)]
        self._progress.came(one.sop_instance_uid for one in coded)
        for job in jobs:
            if isinstance(job.result, PacsDataError):
                self._progress.fail(job.result, job.uid)
        problems = await self._writer.append(coded)
        for problem in problems:
            self._progress.left(problem)
        self._progress.instances_done += len(coded) - len(problems)
        size = sum(job.size for job in jobs)
        self._held -= size
        self._budget.release(size)


def _ready(first: _Job, receive: trio.MemoryReceiveChannel[_Job]) -> tuple[list[_Job], _Job | None]:
    """Jobs that are done, up to the first that is not, which is the next to wait for."""
    ready = [first]
    while len(ready) < _TOGETHER:
        try:
            job = receive.receive_nowait()
        except (trio.WouldBlock, trio.EndOfChannel):
            break
        if not job.done.is_set():
            return ready, job
        ready.append(job)
    return ready, None
