"""Write-behind: chunks gather in memory, go to the files in batches, and are confirmed together.

Two steps. *Write* takes what is unwritten to the end of each study's file, into the
operating system's cache, and notes it there. *Commit* makes the files durable (fsync) and then
the index. What the index has counts after a restart, and what was noted and is whole: a process
that is killed loses what was in memory, a power cut at most what was not confirmed, and nothing
is ever made wrong.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import structlog
import trio
from attrs import frozen

from p2pacs.errors import CorruptStoreError, DiskFullError, LocalError
from p2pacs.ids import StudyId
from p2pacs.limits import KIB, MIB
from p2pacs.store.chunk_index import Changes, ChunkIndex
from p2pacs.store.files import StudyFiles
from p2pacs.store.journal import StudyJournal, Unwritten
from p2pacs.store.notes import pack


@frozen
class StoreWriterTuning:
    """When the writer writes, and when it waits. Measured with 6,000 chunks of 32 KiB."""

    unwritten_bytes: int = 8 * MIB
    """`StudyStore.put` waits while more than this is only in memory."""
    write_bytes: int = 256 * KIB
    """So much is written at once, when chunks come fast: who is killed asks for no more again."""
    commit_bytes: int = 16 * MIB
    """So much written is confirmed at once: a fsync costs as much as writing megabytes."""
    commit_seconds: float = 1.0
    """A chunk is confirmed this long after it came, at the latest."""


TUNING: Final = StoreWriterTuning()

_ROUNDS: Final = 3
"""Times that `StoreWriter.flush` mends files that were replaced meanwhile."""

log = structlog.get_logger(__name__)


class StoreWriter:
    """The one that writes to a store. `run` must be running."""

    def __init__(
        self,
        files: StudyFiles,
        index: ChunkIndex,
        *,
        capacity: int | None,
        used: int,
        now: Callable[[], float] = time.time,
        tuning: StoreWriterTuning = TUNING,
    ) -> None:
        self._files = files
        self._index = index
        self.capacity = capacity
        """Bytes of chunks at most; None for as many as the disk has room for."""
        self.used = used
        """Bytes of all chunks held."""
        self.now = now
        """Seconds since the epoch."""
        self.lost: Callable[[StudyId], None] = _nobody
        """Told of a study that is found to have rotted or lost chunks."""
        self._tuning = tuning
        self._unwritten = 0
        self._uncommitted = 0
        self._with_chunks: dict[StudyJournal, None] = {}
        self._with_changes: dict[StudyJournal, None] = {}
        self._with_notes: dict[StudyJournal, None] = {}
        self._foreign: dict[StudyJournal, None] = {}
        """Studies whose file is not what was written: to be mended before more is."""
        self._failure: LocalError | None = None
        self._writing = trio.Lock()
        self._committing = trio.Lock()
        self._waiting = trio.lowlevel.ParkingLot()
        self._work = trio.lowlevel.ParkingLot()
        self._much = trio.lowlevel.ParkingLot()

    # ------------------------------------------------------------ told by studies

    async def room(self, size: int) -> None:
        """Return when ``size`` more bytes may be kept in memory.

        Raises:
            DiskFullError: the disk or the capacity is full.
        """
        if self.capacity is not None and self.used + size > self.capacity:
            raise DiskFullError("the store is full: recycle studies or raise store.capacity")
        await trio.lowlevel.checkpoint()
        while self._failure is not None or self._unwritten >= self._tuning.unwritten_bytes:
            if self._failure is not None:
                await self.flush()
            else:
                await self._waiting.park()

    def added(self, journal: StudyJournal, size: int) -> None:
        """A chunk waits to be written."""
        self.used += size
        self._unwritten += size
        self._with_chunks[journal] = None
        self.changed(journal)
        if self._much and self._unwritten >= self._tuning.write_bytes:
            self._much.unpark_all()

    def adopted(self, journal: StudyJournal, size: int) -> None:
        """Chunks are in the file, and noted there, that wait to be committed."""
        self.used += size
        self._uncommitted += size
        self._with_notes[journal] = None
        self.changed(journal)

    def freed(self, journal: StudyJournal, size: int) -> None:
        """A chunk is no longer held."""
        self.used -= size
        self.changed(journal)

    def withdrawn(self, journal: StudyJournal, size: int) -> None:
        """Unwritten chunks need not be written any more."""
        self._unwritten -= size
        if not journal.unwritten_bytes:
            self._with_chunks.pop(journal, None)
        self._waiting.unpark_all()
        self.freed(journal, size)

    def changed(self, journal: StudyJournal) -> None:
        """Something of this study waits to be committed."""
        if journal.record.dropped:
            return
        self._with_changes[journal] = None
        if self._work:  # told of every chunk, and mostly nobody asleep: the question is cheap
            self._work.unpark_all()

    def forget(self, journal: StudyJournal) -> None:
        """Nothing more of this study is to be written."""
        self._unwritten -= journal.unwritten_bytes
        self._with_chunks.pop(journal, None)
        self._with_changes.pop(journal, None)
        self._with_notes.pop(journal, None)
        self._foreign.pop(journal, None)
        self._waiting.unpark_all()

    # ------------------------------------------------------------ the two steps

    async def write(self) -> None:
        """Write what is unwritten to the files.

        Raises:
            DiskFullError: no room; what is unwritten stays in memory.
            LocalError: the disk fails otherwise; likewise.
        """
        async with self._writing:
            try:
                await self._mend()
                for journal in list(self._with_chunks):
                    if await self._wrote(journal):
                        continue
                    await self._mend()
                    if not await self._wrote(journal):
                        self._give_up(journal)
            except LocalError as error:
                self._fail(error)
                raise

    async def _mend(self) -> None:
        """Studies whose file was taken away or replaced: what it had is lost, the rest goes on."""
        for journal in list(self._foreign):
            length = await trio.to_thread.run_sync(self._files.mend, journal.study, journal.end)
            del self._foreign[journal]
            before = journal.record.bytes
            lost = journal.cut(length)
            log.error(
                "a study's file is not what it was", study=journal.study.short, lost=len(lost)
            )
            self.freed(journal, before - journal.record.bytes)
            if lost:
                self.lost(journal.study)

    def _give_up(self, journal: StudyJournal) -> None:
        """What replaces a study's file is faster than we are: nobody else waits for that."""
        lost, before = journal.unwritten, journal.record.bytes
        for number, _, _ in lost:
            journal.lose(number)
        journal.losses += len(lost)
        self.withdrawn(journal, before - journal.record.bytes)
        self.lost(journal.study)

    async def _wrote(self, journal: StudyJournal) -> bool:
        """Write what is unwritten of a study; False if its file is not what was written before."""
        batch = journal.unwritten
        self._with_notes[journal] = None
        try:
            await trio.to_thread.run_sync(self._write_files, journal, batch)
        except CorruptStoreError:
            self._foreign[journal] = None
            return False
        journal.written(batch)
        size = sum(len(data) for _, _, data in batch)
        self._unwritten -= size
        self._uncommitted += size
        if not journal.unwritten_bytes:
            self._with_chunks.pop(journal, None)
        self._with_changes[journal] = None
        self._waiting.unpark_all()
        self._work.unpark_all()
        return True

    def _write_files(self, journal: StudyJournal, batch: list[Unwritten]) -> None:
        """In a thread: these at the end of the study's file or in their old places; their notes."""
        study, places = journal.study, list(journal.places(batch))
        appended = []
        for (_, _, data), (_, place) in zip(batch, places, strict=True):
            if place.offset < journal.end:
                self._files.write(study, place.offset, [data])
            else:
                appended.append(data)
        self._files.write(study, journal.end, appended)
        self._files.note(study, journal.noted, pack(places))

    async def commit(self) -> None:
        """Confirm what was written and whatever else has changed.

        Raises:
            DiskFullError: no room; it is tried again later.
            LocalError: the disk fails otherwise; likewise.
        """
        async with self._committing:
            journals, self._with_changes = list(self._with_changes), {}
            if not journals:
                return
            size, self._uncommitted = self._uncommitted, 0
            changes = [journal.take_changes() for journal in journals]
            done, foreign = False, frozenset[StudyId]()
            try:
                foreign = await trio.to_thread.run_sync(self._confirm, changes)
                done = True
            except LocalError as error:
                self._fail(error)
                raise
            finally:
                # Whatever came in between: a caller that is cancelled before a thread is free, too.
                # To confirm twice does no harm.
                for journal, change in zip(journals, changes, strict=True):
                    if not done or journal.study in foreign:
                        journal.give_back(change)
                        self._with_changes[journal] = None
                if not done:
                    self._uncommitted += size
            self._foreign |= {one: None for one in journals if one.study in foreign}

    def _confirm(self, changes: list[Changes]) -> frozenset[StudyId]:
        """In a thread: confirm these; studies of which nothing was, as their file is another."""
        lengths = {
            change.record.study: max(at.offset + at.size for at in change.chunks.values())
            for change in changes
            if change.chunks
        }
        foreign = frozenset(self._files.sync(lengths) if lengths else ())
        self._index.apply([one for one in changes if one.record.study not in foreign])
        return foreign

    async def flush(self) -> None:
        """Write, then commit.

        Raises:
            DiskFullError: no room; what does not fit stays in memory and is tried again.
        """
        for _ in range(_ROUNDS):
            await self.write()
            await self.commit()
            if not self._foreign:
                break
        else:
            raise CorruptStoreError("something replaces the store's files: let nothing else write")
        self._failure = None
        await self._forget_notes()

    async def _forget_notes(self) -> None:
        """Of studies of which all is confirmed."""
        async with self.paused():
            done = [journal for journal in self._with_notes if journal.confirmed]
            if done:
                studies = [journal.study for journal in done]
                await trio.to_thread.run_sync(self._files.forget_notes, studies)
            for journal in done:
                del self._with_notes[journal]
                journal.noted = 0

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Neither writing nor committing happens inside."""
        async with self._writing, self._committing:
            yield

    def _fail(self, error: LocalError) -> None:
        if self._failure is None:
            log.error("store cannot write", error=str(error))
        self._failure = error
        self._waiting.unpark_all()

    # ------------------------------------------------------------ the tasks

    async def run(self) -> None:
        """Write and commit in the background, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write_behind)
            nursery.start_soon(self._commit_behind)

    async def _write_behind(self) -> None:
        while True:
            while self._unwritten < self._tuning.write_bytes or self._failure is not None:
                await self._much.park()
            await _quietly(self.write)

    async def _commit_behind(self) -> None:
        while True:
            while not self._with_changes:
                await self._work.park()
            with trio.move_on_after(self._tuning.commit_seconds):
                while self._uncommitted < self._tuning.commit_bytes or self._failure is not None:
                    await self._work.park()
            await _quietly(self.flush)


def _nobody(_study: StudyId) -> None:
    """Nobody needs to know."""


async def _quietly(step: Callable[[], Awaitable[None]]) -> None:
    """Do a step. A failure was noted: whoever puts or flushes next is told."""
    with suppress(LocalError):
        await step()
