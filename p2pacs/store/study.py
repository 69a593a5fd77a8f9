"""The chunks of one study in the store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import structlog
import trio

from p2pacs.bitfield import Bitfield
from p2pacs.errors import CorruptStoreError, NotFoundError, StateError, UsageError
from p2pacs.ids import ChunkId, StudyId
from p2pacs.limits import CHUNK_BYTES, STUDY_CHUNKS
from p2pacs.store.chunk_index import Changes, Contents, Record
from p2pacs.store.extents import Extent, Extents
from p2pacs.store.files import StudyFiles
from p2pacs.store.notes import NOTE_BYTES, pack

if TYPE_CHECKING:
    from p2pacs.store.writer import StoreWriter

log = structlog.get_logger(__name__)


class StudyStore:
    """One study: its chunks, its newest manifest root, its segments.

    Made by `ChunkStore.study`. Everything is for the one trio thread, but `load` and
    `load_many`, which worker threads call.
    """

    def __init__(
        self, record: Record, contents: Contents, files: StudyFiles, writer: StoreWriter
    ) -> None:
        self.have = Bitfield()
        """Numbers of the chunks held; those not yet on disk included."""
        self._record = record
        self._files = files
        self._writer = writer
        self._extents = Extents()
        self._segments = dict(contents.segments)
        self._pending: dict[int, tuple[ChunkId, bytes]] = {}
        self._changes = Changes(record)
        self._end = 0
        self._noted = 0
        """Bytes of notes of what was written and is not confirmed."""
        for number, extent in contents.chunks:
            self._extents.set(number, extent)
            self._end = max(self._end, extent.offset + extent.size)
            self.have.add(number)

    @property
    def study(self) -> StudyId:
        """Which study this is."""
        return self._record.study

    @property
    def root(self) -> bytes | None:
        """The newest signed manifest root that was put, as it travels."""
        return self._record.root

    @property
    def version(self) -> int:
        """The version of `root`; 0 for none."""
        return self._record.version

    @property
    def dropped(self) -> bool:
        """Whether the study was removed from the store: nothing can be put any more."""
        return self._record.dropped

    # ------------------------------------------------------------ chunks in

    def size(self, number: int) -> int:
        """Bytes of a chunk that is here; 0 of another."""
        pending = self._pending.get(number)
        if pending is not None:
            return len(pending[1])
        extent = self._extents.get(number)
        return 0 if extent is None else extent.size

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
        self._pending[number] = (chunk_id, data)
        self.have.add(number)
        self._record.chunks += 1
        self._record.bytes += len(data)
        self._writer.added(self, len(data))

    def unwritten(self) -> list[tuple[int, ChunkId, bytes]]:
        """For the writer: chunks that are not in the file, in the order of arrival."""
        return [(number, chunk, data) for number, (chunk, data) in self._pending.items()]

    def write(self, batch: Sequence[tuple[int, ChunkId, bytes]]) -> None:
        """For the writer, in a thread: write these at the end of the file, and note them."""
        self._files.write(self.study, self._end, [data for _, _, data in batch])
        self._files.note(self.study, self._noted, pack(self._places(batch)))

    def _places(self, batch: Iterable[tuple[int, ChunkId, bytes]]) -> Iterator[tuple[int, Extent]]:
        """Where these lie, written one after the other at the end of the file."""
        end = self._end
        for number, chunk, data in batch:
            yield number, Extent(end, len(data), chunk)
            end += len(data)

    def written(self, batch: Iterable[tuple[int, ChunkId, bytes]]) -> None:
        """For the writer: these were written."""
        for number, extent in list(self._places(batch)):
            self._end += extent.size
            self._noted += NOTE_BYTES
            self._extents.set(number, extent)
            self._changes.chunks[number] = extent
            self._changes.lost.discard(number)
            del self._pending[number]

    @property
    def confirmed(self) -> bool:
        """For the writer: whether all that was written is committed, or about to be."""
        return not self._changes.chunks

    def notes_forgotten(self) -> None:
        """For the writer: there are no notes any more."""
        self._noted = 0

    def adopt(self, chunks: Iterable[tuple[int, Extent]], notes: int) -> None:
        """For the store: these were written and noted, and not confirmed, by who died meanwhile.

        Args:
            chunks: What they are.
            notes: Bytes of notes that there are.
        """
        self._noted = notes
        for number, extent in chunks:
            if not self.have.add(number):
                continue
            self._end = max(self._end, extent.offset + extent.size)
            self._extents.set(number, extent)
            self._changes.chunks[number] = extent
            self._record.chunks += 1
            self._record.bytes += extent.size
            self._writer.adopted(self, extent.size)

    def take_changes(self) -> Changes:
        """For the writer: what is to be committed; none is left."""
        changes, self._changes = self._changes, Changes(self._record)
        return changes

    def give_back(self, changes: Changes) -> None:
        """For the writer: these could not be committed; later ones stay on top."""
        later, self._changes = self._changes, changes
        changes.chunks.update(later.chunks)
        changes.segments.update(later.segments)
        changes.lost = (changes.lost - later.chunks.keys()) | later.lost
        changes.unlisted = (changes.unlisted - later.segments.keys()) | later.unlisted
        for number in later.lost:
            changes.chunks.pop(number, None)
        for chunk in later.unlisted:
            changes.segments.pop(chunk, None)

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
        found = await trio.to_thread.run_sync(self._load_verified, numbers)
        rotten = [number for number, data in zip(numbers, found, strict=True) if data is None]
        if rotten:
            self._quarantine(rotten)
            raise CorruptStoreError(
                f"chunk {rotten[0]} of study {self.study.short} is rotten on disk; "
                "it will be fetched again"
            )
        return [data for data in found if data is not None]

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
        found: list[bytes] = []
        places: list[tuple[int, int]] = []
        for number in numbers:
            # First the buffer, then the file: a chunk moves in that direction, so whoever
            # looks in this order finds it.
            pending = self._pending.get(number)
            if pending is not None:
                found.append(pending[1])
                continue
            extent = self._extents.get(number)
            if extent is None:
                raise NotFoundError(f"chunk {number} of study {self.study.short} is not held here")
            places.append((extent.offset, extent.size))
            found.append(b"")
        read = iter(self._files.read(self.study, places) if places else ())
        return [data or next(read) for data in found]

    async def verify(self, numbers: Iterable[int] | None = None) -> list[int]:
        """Compare held chunks with their ids; the rotten ones, which are no longer held.

        Args:
            numbers: which; all that are held if None (scrubbing).
        """
        rotten: list[int] = []
        for number in [n for n in (self.have if numbers is None else numbers) if n in self.have]:
            (data,) = await trio.to_thread.run_sync(self._load_verified, [number])
            if data is None:
                rotten.append(number)
        self._quarantine(rotten)
        return rotten

    def _load_verified(self, numbers: Sequence[int]) -> list[bytes | None]:
        """In a thread: the chunks of these numbers, None for a rotten one."""
        found: list[bytes | None] = []
        for number in numbers:
            extent = self._extents.get(number)
            try:
                data = self.load(number)
            except CorruptStoreError:
                found.append(None)
                continue
            found.append(None if extent and ChunkId.of(data) != extent.id else data)
        return found

    async def cut_back(self, count: int) -> None:
        """Forget the chunks from number ``count`` on: no root that is out names them.

        A publication that broke off leaves such chunks, and the next one numbers its own anew.
        """
        async with self._writer.paused():
            for number in [number for number in self.have if number >= count]:
                if pending := self._pending.pop(number, None):
                    self.have.discard(number)
                    self._record.chunks -= 1
                    self._record.bytes -= len(pending[1])
                    self._writer.withdrawn(self, len(pending[1]))
                else:
                    self._lose(number)

    def forget_beyond(self, length: int) -> None:
        """For the store: the file has only ``length`` bytes; chunks beyond are not held."""
        extents = ((number, self._extents.get(number)) for number in self.have)
        self._quarantine(
            [n for n, place in extents if place and place.offset + place.size > length]
        )

    def _quarantine(self, numbers: Collection[int]) -> None:
        if self.dropped or not numbers:
            return
        log.error("chunks are rotten or lost", study=self.study.short, chunks=len(numbers))
        for number in numbers:
            self._lose(number)

    def _lose(self, number: int) -> None:
        """A chunk in the file is no longer held."""
        extent = self._extents.get(number)
        if extent is not None and self.have.discard(number):
            self._extents.discard(number)
            self._changes.chunks.pop(number, None)
            self._changes.lost.add(number)
            self._record.chunks -= 1
            self._record.bytes -= extent.size
            self._writer.freed(self, extent.size)

    # ------------------------------------------------------------ manifest and use

    async def put_root(
        self, raw: bytes, *, version: int = 0, segments: Collection[ChunkId] | None = None
    ) -> None:
        """Keep a verified manifest root; the one before is forgotten.

        Args:
            raw: as it travels.
            version: of the root, for `StudyInfo`.
            segments: those that it names: all others are forgotten (None: none are).
        """
        self._check_open()
        self._record.root = raw
        self._record.version = version
        if segments is not None:
            for chunk in self._segments.keys() - set(segments):
                del self._segments[chunk]
                self._changes.segments.pop(chunk, None)
                self._changes.unlisted.add(chunk)
        self._writer.changed(self)

    async def segment(self, chunk_id: ChunkId) -> bytes | None:
        """The segment of this id, if it is here."""
        return self._segments.get(chunk_id)

    async def put_segment(self, chunk_id: ChunkId, data: bytes) -> None:
        """Keep a verified segment."""
        self._check_open()
        self._segments[chunk_id] = data
        self._changes.segments[chunk_id] = data
        self._changes.unlisted.discard(chunk_id)
        self._writer.changed(self)

    def touch(self) -> None:
        """The study was used now: it is recycled last."""
        if self.dropped:
            return
        self._record.last_used = self._writer.now()
        self._writer.changed(self)

    def pin(self, *, pinned: bool = True) -> None:
        """Whether the study must never be recycled."""
        self._check_open()
        self._record.pinned = pinned
        self._writer.changed(self)

    async def flush(self) -> None:
        """Return when everything put so far would survive a power cut.

        Raises:
            DiskFullError: no room; what does not fit stays in memory and is tried again.
        """
        await self._writer.flush()

    def _check_open(self) -> None:
        if self.dropped:
            raise StateError(f"study {self.study.short} was dropped from the store: open it again")
