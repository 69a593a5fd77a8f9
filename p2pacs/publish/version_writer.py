"""The growing versions of one study: instances in, chunks and signed roots in the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial

import trio
from attrs import frozen

from p2pacs.errors import DiskFullError, PacsDataError
from p2pacs.ids import StudyId
from p2pacs.publish.progress import PublishProgress
from p2pacs.publish.schedule import CUT_BYTES, CutSchedule
from p2pacs.store import StudyStore
from p2pacs.study.builder import Appended, Cut, StudyBuilder
from p2pacs.study.coding import CodedBlob, CodedInstance
from p2pacs.study.manifest import Root
from p2pacs.study.study_index import LeftOut

SignRoot = Callable[[Root], bytes]
"""A root as it travels, signed. Raises `AccessError` where that may not be any more."""


def _never(study: StudyId) -> bool:
    del study
    return False


@frozen
class PublishHooks:
    """Who is told, and who can help."""

    announce: Callable[[StudyId, int, bool], Awaitable[None]]
    """A version (number, whether complete) is in the store for good."""
    make_room: Callable[[], Awaitable[bool]]
    """Recycle something in the store; whether anything came free."""
    is_busy: Callable[[StudyId], bool] = _never
    """Whether what is out keeps the line busy for a while: then a further version can wait. Each
    is listed anew for all who fetch, over that line."""


class VersionWriter:
    """One builder and where its versions go. Used by one task."""

    def __init__(
        self,
        progress: PublishProgress,
        builder: StudyBuilder,
        files: StudyStore,
        sign: SignRoot,
        hooks: PublishHooks,
    ) -> None:
        self._progress = progress
        self._builder = builder
        self._files = files
        self._sign = sign
        self._hooks = hooks
        self._schedule = CutSchedule(trio.current_time())
        self._uncut = False
        self.chunks_out = 0
        """Chunks that the newest root names."""

    @property
    def instances(self) -> int:
        """How many instances the study has, those of the next version included."""
        return self._builder.instances

    @property
    def uids(self) -> set[str]:
        """SOP Instance UIDs of the study, those of the next version included."""
        return self._builder.uids()

    def withdraw(self, uids: Iterable[str]) -> int:
        """Take out instances that the source has no longer; how many the study had."""
        count = self._builder.withdraw(uids)
        self._uncut = self._uncut or count > 0
        return count

    def leave_out(self, left_out: LeftOut) -> None:
        """Say what the next version has not."""
        self._builder.leave_out(left_out)

    @property
    def due(self) -> float:
        """When `cut` should be called at the latest, on trio's clock."""
        return self._schedule.due if self._uncut else float("inf")

    async def append(self, instances: Sequence[CodedInstance]) -> list[PacsDataError]:
        """Add instances to what the next version brings, all in one go of a worker thread.

        Returns:
            What is wrong with those that are left out: of another study, or one UID with
            other bytes.
        """
        return await trio.to_thread.run_sync(self._append, instances)

    def _append(self, instances: Sequence[CodedInstance]) -> list[PacsDataError]:
        problems: list[PacsDataError] = []
        for coded in instances:
            try:
                if self._builder.append(coded) is not Appended.UNCHANGED:
                    self._uncut = True
            except PacsDataError as error:
                problems.append(error)
        return problems

    async def lay(self, study: str, series: str, blobs: Collection[CodedBlob]) -> None:
        """Add blobs of an instance that is appended later; see `StudyBuilder.lay`.

        Raises:
            PacsDataError: it is of another study.
        """
        await trio.to_thread.run_sync(self._builder.lay, study, series, blobs)
        self._uncut = True

    async def cut_if_due(self) -> None:
        """Publish a growing version if it is time, or if much is waiting."""
        pending, now = self._builder.pending_bytes, trio.current_time()
        if not self._uncut or not self._schedule.is_due(now, pending):
            return
        if pending < CUT_BYTES and self._hooks.is_busy(self._progress.study):
            self._schedule.later(now)
            return
        await self.cut(complete=False)

    async def cut(self, *, complete: bool) -> None:
        """Publish what was appended as a version; nothing happens if nothing is new.

        Raises:
            DiskFullError: no room, and nothing could be recycled; versions before are intact.
        """
        # What is not cut for its size may be all there is: a source tells only later.
        last = complete or self._builder.pending_bytes < CUT_BYTES
        batch = await trio.to_thread.run_sync(partial(self._builder.cut, last=last))
        self._uncut = False
        root = self._builder.root(complete=complete)
        if root.version == self._progress.version:
            return
        raw = self._sign(root)
        try:
            await self._store(batch)
        except DiskFullError:
            if not await self._hooks.make_room():
                raise
            await self._store(batch)
        await self._files.put_root(raw, version=root.version, segments=root.segments)
        self.chunks_out = root.chunks
        # Nobody may hear of a version that a power cut could take back: its number would
        # then be given to another one.
        await self._files.flush()
        self._schedule.cut(trio.current_time())
        await self._hooks.announce(root.study, root.version, complete)
        self._progress.published(root.version)

    async def _store(self, batch: Cut) -> None:
        for chunk in batch.chunks:
            await self._files.put(chunk.number, chunk.id, chunk.data)
        for name, segment in batch.segments:
            await self._files.put_segment(name, segment)
        await self._files.flush()
