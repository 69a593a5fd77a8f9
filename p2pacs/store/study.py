"""The chunks of one study in the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Final

import structlog
import trio

from p2pacs.bitfield import Bitfield
from p2pacs.errors import CorruptStoreError, NotFoundError, StateError, UsageError
from p2pacs.ids import ChunkId, StudyId
from p2pacs.limits import CHUNK_BYTES, STUDY_CHUNKS
from p2pacs.store.extents import Extent
from p2pacs.store.files import StudyFiles
from p2pacs.store.journal import StudyJournal
from p2pacs.store.writer import StoreWriter

log = structlog.get_logger(__name__)

_BATCH: Final = 64
"""Chunks verified at a time: 4 MiB at most."""


class StudyStore:
    """One study: its chunks, its newest manifest root, its segments.

    Made by `ChunkStore.study`. Everything is for the one trio thread, but `load` and
    `load_many`, which worker threads call.
    """

    def __init__(self, journal: StudyJournal, files: StudyFiles, writer: StoreWriter) -> None:
        self._journal = journal
        self._files = files
        self._writer = writer

    @property
    def have(self) -> Bitfield:
        """Numbers of the chunks held; those not yet on disk included."""
        return self._journal.have

    @property
    def study(self) -> StudyId:
        """Which study this is."""
        return self._journal.study

    @property
    def root(self) -> bytes | None:
        """The newest signed manifest root that was put, as it travels."""
        return self._journal.record.root

    @property
    def version(self) -> int:
        """The version of `root`; 0 for none."""
        return self._journal.record.version

    @property
    def dropped(self) -> bool:
        """Whether the study was removed from the store: nothing can be put any more."""
        return self._journal.record.dropped

    # ------------------------------------------------------------ chunks in

    def size(self, number: int) -> int:
        """Bytes of a chunk that is here; 0 of another."""
        return self._journal.size(number)

    async def put(self, number: int, chunk_id: ChunkId, data: bytes) -> None:
        """Keep a chunk; the caller has verified that ``data`` is ``chunk_id``.

        It is in `have` and can be read when this returns, and on disk within a second or
        after `flush`. Waits while too much is unwritten.

        Raises:
            DiskFullError: no room, or the capacity is reached; nothing stored is harmed.
            StateError: the study was dropped.
        """
        if not 0 <= number < STUDY_CHUNKS or not 0 < len(data) <= CHUNK_BYTES:
            raise UsageError("a chunk of impossible number or size")
        if number not in self.have:
            await self._writer.room(len(data))
        self._check_open()
        if number in self.have:
            return
        self._journal.add(number, chunk_id, data)
        self._writer.added(self._journal, len(data))

    # ------------------------------------------------------------ chunks out

    async def read(self, number: int, *, verify: bool = False) -> bytes:
        """The chunk of this number.

        Args:
            number: of the chunk.
            verify: whether to compare it with its id.

        Raises:
            NotFoundError: not held here.
            CorruptStoreError: it is rotten; it is no longer held.
        """
        return (await self.read_many([number], verify=verify))[0]

    async def read_many(self, numbers: Sequence[int], *, verify: bool = False) -> list[bytes]:
        """The chunks of these numbers, in this order, read together.

        Raises:
            NotFoundError: one of them is not held here.
            CorruptStoreError: one of them is rotten; it is no longer held.
        """
        if not verify:
            return await trio.to_thread.run_sync(self.load_many, numbers)
        rewrites = self._journal.rewrites
        found = await trio.to_thread.run_sync(self._checked, numbers)
        if rotten := self._quarantine(numbers, found, rewrites):
            raise CorruptStoreError(
                f"chunk {rotten[0]} of study {self.study.short} is rotten: it is fetched again"
            )
        sound = [data for data in found if isinstance(data, bytes)]
        if len(sound) < len(found):
            raise self._not_held(numbers[found.index(None)])
        return sound

    def load(self, number: int) -> bytes:
        """The chunk of this number, for a worker thread; not verified.

        Raises:
            NotFoundError: not held here.
            CorruptStoreError: the disk cannot read it.
        """
        return self.load_many([number])[0]

    def load_many(self, numbers: Sequence[int]) -> list[bytes]:
        """The chunks of these numbers, in this order, for a worker thread; not verified.

        Raises:
            NotFoundError: one of them is not held here.
            CorruptStoreError: the disk cannot read one of them.
        """
        located = [self._located(number) for number in numbers]
        places = [place for place in located if isinstance(place, Extent)]
        read = iter(self._read(places))
        return [next(read) if isinstance(place, Extent) else place for place in located]

    def _read(self, places: Sequence[Extent]) -> list[bytes]:
        if not places:
            return []
        try:
            return self._files.read(self.study, [(place.offset, place.size) for place in places])
        except CorruptStoreError:
            if self.dropped:  # meanwhile: nothing is wrong with its file
                raise NotFoundError(f"study {self.study.short} is not stored here") from None
            raise

    def _located(self, number: int) -> bytes | Extent:
        found = self._journal.locate(number)
        if found is None:
            raise self._not_held(number)
        return found

    def _not_held(self, number: int) -> NotFoundError:
        return NotFoundError(f"chunk {number} of study {self.study.short} is not held here")

    async def verify(self, numbers: Iterable[int] | None = None) -> list[int]:
        """Compare held chunks with their ids; the rotten ones, which are no longer held.

        Args:
            numbers: which; all that are held if None (scrubbing).
        """
        rotten: list[int] = []
        left = iter(list(self.have if numbers is None else numbers))
        while batch := list(islice(left, _BATCH)):
            rewrites = self._journal.rewrites
            found = await trio.to_thread.run_sync(self._checked, batch)
            rotten += self._quarantine(batch, found, rewrites)
        return rotten

    def _checked(self, numbers: Sequence[int]) -> list[bytes | Extent | None]:
        """In a thread: these chunks; where it lies of a rotten one; None of one not held."""
        found: list[bytes | Extent | None] = []
        for number in numbers:
            place = self._journal.locate(number)
            if not isinstance(place, Extent):
                found.append(place)
                continue
            try:
                (data,) = self._read([place])
            except CorruptStoreError:
                found.append(place)
            else:
                found.append(data if ChunkId.of(data) == place.id else place)
        return found

    async def cut_back(self, count: int) -> None:
        """Forget the chunks from number ``count`` on: no root that is out names them.

        A publication that broke off leaves such chunks, and the next one numbers its own anew.
        """
        async with self._writer.paused():
            for number in [number for number in self.have if number >= count]:
                unwritten = isinstance(self._journal.locate(number), bytes)
                size = self._journal.lose(number)
                told = self._writer.withdrawn if unwritten else self._writer.freed
                told(self._journal, size)

    def _quarantine(
        self, numbers: Iterable[int], found: Iterable[bytes | Extent | None], rewrites: int
    ) -> list[int]:
        """What lies rotten in the file is no longer held; the numbers of all that is rotten."""
        rotten = [
            (number, place)
            for number, place in zip(numbers, found, strict=True)
            if isinstance(place, Extent)
        ]
        # One that came again meanwhile is sound.
        lost = [each for each in rotten if self._journal.lies_at(*each, rewrites)]
        if lost and not self.dropped:
            log.error("chunks are rotten or lost", study=self.study.short, chunks=len(lost))
            for number, place in lost:
                self._writer.freed(self._journal, self._journal.lose_rotten(number, place))
            self._writer.lost(self.study)
        return [number for number, _ in rotten]

    # ------------------------------------------------------------ manifest and use

    async def put_root(
        self, raw: bytes, *, version: int = 0, segments: Collection[ChunkId] | None = None
    ) -> None:
        """Keep a verified manifest root; the one before is forgotten. This is use (`touch`), but
        not of the same root again: who opens what is here may have other reasons.

        Args:
            raw: as it travels.
            version: of the root, for `StudyInfo`.
            segments: those that it names: all others are forgotten (None: none are).
        """
        self._check_open()
        is_new = raw != self.root
        self._journal.put_root(raw, version, segments)
        self._writer.changed(self._journal)
        if is_new:
            self.touch()

    async def segment(self, chunk_id: ChunkId) -> bytes | None:
        """The segment of this id, if it is here."""
        return self._journal.segments.get(chunk_id)

    async def put_segment(self, chunk_id: ChunkId, data: bytes) -> None:
        """Keep a verified segment."""
        self._check_open()
        self._journal.put_segment(chunk_id, data)
        self._writer.changed(self._journal)

    def touch(self) -> None:
        """The study was used now: it is recycled last."""
        if self.dropped:
            return
        self._journal.record.last_used = self._writer.now()
        self._writer.changed(self._journal)

    def pin(self, *, pinned: bool = True) -> None:
        """Whether the study must never be recycled."""
        self._check_open()
        self._journal.record.pinned = pinned
        self._writer.changed(self._journal)

    async def flush(self) -> None:
        """Return when everything put so far would survive a power cut.

        Raises:
            DiskFullError: no room; what does not fit stays in memory and is tried again.
            CorruptStoreError: the study's file was taken away or replaced since the last time:
                what is lost is not in `have` any more.
        """
        journal = self._journal
        told = journal.losses_told
        await self._writer.flush()
        if lost := journal.losses - told:
            journal.losses_told = journal.losses
            raise CorruptStoreError(
                f"study {self.study.short} lost its file: {lost} chunks are lost"
            )

    def _check_open(self) -> None:
        if self.dropped:
            raise StateError(f"study {self.study.short} was dropped from the store: open it again")
