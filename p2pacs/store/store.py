"""The chunks of all studies on this machine: one folder, one owner."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import structlog
import trio
from attrs import field, frozen

from p2pacs.concurrency.groups import single_error
from p2pacs.concurrency.until_possible import until_possible
from p2pacs.errors import DiskFullError, LocalError
from p2pacs.files.locks import held
from p2pacs.files.private_files import make_private_folder
from p2pacs.ids import ChunkId, StudyId
from p2pacs.store.chunk_index import ChunkIndex, Contents, Record
from p2pacs.store.extents import Extent
from p2pacs.store.files import StudyFiles
from p2pacs.store.journal import StudyJournal
from p2pacs.store.notes import NOTE_BYTES, unpack
from p2pacs.store.study import StudyStore
from p2pacs.store.writer import TUNING, StoreWriter, StoreWriterTuning

log = structlog.get_logger(__name__)

_IN_USE: Final = "another process uses this store; stop it, or use another folder"


@frozen
class StudyInfo:
    """What the store has of a study."""

    study: StudyId
    version: int
    """Of the manifest root; 0 for none."""
    chunks_held: int
    bytes: int
    last_used: float
    """Seconds since the epoch; 0 for never."""
    pinned: bool


@frozen
class _Found:
    """What the disk has of a study."""

    contents: Contents
    length: int = 0
    """Bytes of its file."""
    noted: list[tuple[int, Extent]] = field(factory=list)
    """Chunks that were written, and never confirmed: they are whole."""
    notes: int = 0
    """Bytes of notes."""


class ChunkStore:
    """All studies that are stored. Opened by `open_store`."""

    def __init__(
        self,
        files: StudyFiles,
        index: ChunkIndex,
        records: list[Record],
        *,
        capacity: int | None,
        now: Callable[[], float],
        tuning: StoreWriterTuning = TUNING,
    ) -> None:
        self._files = files
        self._index = index
        self._records = {record.study: record for record in records}
        self._next_key = max((record.key for record in records), default=0) + 1
        self._open: WeakValueDictionary[StudyId, StudyStore] = WeakValueDictionary()
        self._journals: WeakValueDictionary[StudyId, StudyJournal] = WeakValueDictionary()
        self._opening = trio.Lock()
        used = sum(record.bytes for record in records)
        self.writer = StoreWriter(
            files, index, capacity=capacity, used=used, now=now, tuning=tuning
        )
        """What writes behind; `open_store` runs it."""

    @property
    def capacity(self) -> int | None:
        """Bytes of chunks at most; None for as many as the disk has room for."""
        return self.writer.capacity

    @property
    def used(self) -> int:
        """Bytes of all chunks held."""
        return self.writer.used

    def holds(self, study: StudyId) -> bool:
        """Whether anything of this study is stored."""
        record = self._records.get(study)
        return record is not None and record.held

    def studies(self) -> list[StudyInfo]:
        """What is held of every study."""
        return [_info(record) for record in self._records.values() if record.held]

    def info(self, study: StudyId) -> StudyInfo | None:
        """What is held of a study; None if nothing is."""
        return _info(self._records[study]) if self.holds(study) else None

    async def study(self, study: StudyId) -> StudyStore:
        """The study of this id: as stored, or empty. The same object while anyone holds it.

        Raises:
            LocalError: the index cannot be read.
        """
        async with self._opening:
            opened = self._open.get(study)
            if opened is not None:
                return opened
            # Nobody used the study, and yet the writer may not be done with it.
            journal = self._journals.get(study) or await self._journal(study)
            opened = self._open[study] = StudyStore(journal, self._files, self.writer)
            return opened

    async def _journal(self, study: StudyId) -> StudyJournal:
        record = self._records.get(study)
        if record is None:
            record = Record(self._next_key, study)
            self._next_key += 1
            found = _Found(Contents([], {}))
        else:
            found = await trio.to_thread.run_sync(self._load, record)
        self._records[study] = record
        journal = self._journals[study] = StudyJournal.load(record, found.contents)
        before = record.bytes
        if lost := journal.cut(found.length):
            journal.losses_told = journal.losses  # nobody has put anything yet
            log.error("chunks are lost", study=study.short, chunks=len(lost))
            self.writer.freed(journal, before - record.bytes)
            self.writer.lost(study)
        if found.noted:
            self.writer.adopted(journal, journal.adopt(found.noted, found.notes))
        return journal

    async def drop(self, study: StudyId) -> None:
        """Remove all that is held of a study; nothing happens if nothing is.

        Raises:
            LocalError: the index cannot be written.
        """
        async with self._opening, self.writer.paused():
            record = self._records.get(study)
            if record is None:
                return
            record.dropped = True  # first: whoever reads it meanwhile finds no rot
            try:
                await trio.to_thread.run_sync(self._remove, record)
            except LocalError:
                record.dropped = False
                raise
            del self._records[study]
            self._open.pop(study, None)
            if (journal := self._journals.pop(study, None)) is not None:
                self.writer.forget(journal)
            self.writer.used -= record.bytes
        log.info("study dropped", study=study.short, bytes=record.bytes)

    def _load(self, record: Record) -> _Found:
        study = record.study
        contents = self._index.contents(record.key)
        end = max((place.offset + place.size for _, place in contents.chunks), default=0)
        notes = self._files.noted(study)
        noted = [
            (number, place)
            for number, place in unpack(notes)
            if place.offset >= end and self._whole(study, place)
        ]
        if noted:
            end = max(place.offset + place.size for _, place in noted)
            log.info("chunks of a program that was killed", study=study.short, chunks=len(noted))
        elif notes:
            self._files.forget_notes([study])
            notes = b""
        length = self._files.trim(study, end)
        return _Found(contents, length, noted, len(notes) - len(notes) % NOTE_BYTES)

    def _whole(self, study: StudyId, place: Extent) -> bool:
        """Whether a chunk really lies where it was noted."""
        try:
            (data,) = self._files.read(study, [(place.offset, place.size)])
        except LocalError:
            return False
        return ChunkId.of(data) == place.id

    def _remove(self, record: Record) -> None:
        # The rows first: a crash in between leaves a file that nobody knows, and `open_store`
        # sweeps it; the other way round it leaves rows without bytes, which are lost chunks then.
        # But on a full disk the rows cannot go before there is room.
        try:
            self._index.remove(record.key)
        except DiskFullError:
            self._files.remove(record.study)
            self._index.remove(record.key)
        else:
            self._files.remove(record.study)


def _info(record: Record) -> StudyInfo:
    return StudyInfo(
        study=record.study,
        version=record.version,
        chunks_held=record.chunks,
        bytes=record.bytes,
        last_used=record.last_used,
        pinned=record.pinned,
    )


@asynccontextmanager
async def open_store(
    folder: Path,
    *,
    capacity: int | None = None,
    now: Callable[[], float] = time.time,
    tuning: StoreWriterTuning = TUNING,
) -> AsyncIterator[ChunkStore]:
    """Open the store in a folder (made if it is not there), and close it at the end.

    Args:
        folder: where everything lies.
        capacity: bytes of chunks at most; None for no limit but the disk's.
        now: seconds since the epoch, for `StudyStore.touch`.
        tuning: when it writes and confirms.

    Raises:
        StateError: another process holds the folder.
        CorruptStoreError: the index is damaged.
        DiskFullError: at the end: what was put last did not fit and is lost.
    """
    make = partial(trio.to_thread.run_sync, _make_folders, folder)
    files = await until_possible(make, "the store")
    async with held(folder / "lock", _IN_USE):
        open_index = partial(trio.to_thread.run_sync, ChunkIndex, folder / "index.sqlite")
        index = await until_possible(open_index, "the store's index")
        try:
            records = await trio.to_thread.run_sync(index.records)
            await trio.to_thread.run_sync(files.sweep, [record.study for record in records])
            store = ChunkStore(files, index, records, capacity=capacity, now=now, tuning=tuning)
            with single_error():
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(store.writer.run)
                    try:
                        yield store
                    finally:
                        with trio.CancelScope(shield=True):
                            await store.writer.flush()
                        nursery.cancel_scope.cancel()
        finally:
            index.close()


def _make_folders(folder: Path) -> StudyFiles:
    make_private_folder(folder)
    return StudyFiles(folder / "chunks")
