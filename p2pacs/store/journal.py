"""What is held of one study, and how far each part of it is on its way to the disk.

A chunk goes from *unwritten* (in memory) to *written* (in the file, and noted) to *committed* (in
the index). `StudyStore` fills a journal and reads by it, `StoreWriter` empties it. No I/O here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TypeAlias

from attrs import define, field

from p2pacs.bitfield import Bitfield
from p2pacs.ids import ChunkId, StudyId
from p2pacs.store.chunk_index import Changes, Contents, Record
from p2pacs.store.extents import Extent, Extents
from p2pacs.store.notes import NOTE_BYTES

Unwritten: TypeAlias = tuple[int, ChunkId, bytes]
"""Number, id and bytes of a chunk that is in memory only."""


@define(eq=False)
class StudyJournal:
    """Everything that is known of one study's chunks.

    Changed by the trio thread alone; `locate` may be called from others at the same time.
    """

    record: Record
    have: Bitfield = field(factory=Bitfield)
    """Numbers of the chunks held, the unwritten ones included."""
    segments: dict[ChunkId, bytes] = field(factory=dict)
    end: int = 0
    """Bytes of the study's file that are in use: the next chunk is written there."""
    noted: int = 0
    """Bytes of notes of what was written and is not committed."""
    losses: int = 0
    """Chunks that were written and are lost, as the file was taken away or replaced."""
    losses_told: int = 0
    """So many of them were told to who wanted all to be safe."""
    _extents: Extents = field(factory=Extents)
    _unwritten: dict[int, tuple[ChunkId, bytes]] = field(factory=dict)
    _rotten: dict[int, Extent] = field(factory=dict)
    """Places of chunks that rotted: the same chunk goes there again."""
    _rewritten: dict[int, tuple[Extent, int]] = field(factory=dict)
    """Places where that was done, and at which of `rewrites`: what rots again is not used again."""
    rewrites: int = 0
    """Chunks that were written to their old places so far."""
    _changes: Changes = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._changes = Changes(self.record)

    @classmethod
    def load(cls, record: Record, contents: Contents) -> StudyJournal:
        """The journal of a study as the index has it: all of it is committed."""
        journal = cls(record, segments=dict(contents.segments))
        for number, extent in contents.chunks:
            journal._hold(number, extent)
        return journal

    @property
    def study(self) -> StudyId:
        """Which study this is."""
        return self.record.study

    # ------------------------------------------------------------ chunks in

    def add(self, number: int, chunk_id: ChunkId, data: bytes) -> None:
        """Hold a chunk that is not held yet, in memory."""
        self._unwritten[number] = (chunk_id, data)
        self.have.add(number)
        self._grow(len(data))

    @property
    def unwritten(self) -> list[Unwritten]:
        """Chunks that are not in the file, in the order of arrival."""
        return [(number, chunk, data) for number, (chunk, data) in self._unwritten.items()]

    @property
    def unwritten_bytes(self) -> int:
        """Bytes that are only in memory."""
        return sum(len(data) for _, data in self._unwritten.values())

    def places(self, batch: Iterable[Unwritten]) -> Iterator[tuple[int, Extent]]:
        """Where these lie once they are written: a chunk that rotted in its old place, the others
        one after the other from `end` on.

        Only the very same chunk goes to an old place: its row in the index is the same then, and
        true or found to be rotten again whenever a power cut comes.
        """
        end = self.end
        for number, chunk, data in batch:
            old = self._rotten.get(number)
            if old is not None and old.id == chunk and old.size == len(data):
                yield number, old
            else:
                yield number, Extent(end, len(data), chunk)
                end += len(data)

    def written(self, batch: Iterable[Unwritten]) -> None:
        """These are in the file in their `places`, and noted."""
        for number, extent in list(self.places(batch)):
            old = self._rotten.pop(number, None)
            if old == extent:
                self.rewrites += 1
                self._rewritten[number] = extent, self.rewrites
            self.noted += NOTE_BYTES
            self._hold(number, extent)
            self._changes.chunks[number] = extent
            self._changes.lost.discard(number)
            # Last: whoever looks here first, then at the extents, always finds the chunk.
            del self._unwritten[number]

    def adopt(self, chunks: Iterable[tuple[int, Extent]], noted: int) -> int:
        """A process that died had written and noted these, and not committed.

        Args:
            chunks: What they are.
            noted: Bytes of notes that there are.

        Returns:
            Bytes of those that were not held otherwise.
        """
        self.noted, before = noted, self.record.bytes
        for number, extent in chunks:
            if number not in self.have:
                self._hold(number, extent)
                self._changes.chunks[number] = extent
                self._grow(extent.size)
        return self.record.bytes - before

    def _hold(self, number: int, extent: Extent) -> None:
        self._extents.set(number, extent)
        self.end = max(self.end, extent.offset + extent.size)
        self.have.add(number)

    def _grow(self, size: int) -> None:
        self.record.chunks += 1
        self.record.bytes += size

    # ------------------------------------------------------------ chunks out

    def locate(self, number: int) -> bytes | Extent | None:
        """The bytes of an unwritten chunk, the place of a written one, None of another."""
        # First memory, then the file: a chunk moves in that direction, so whoever looks in
        # this order finds it.
        unwritten = self._unwritten.get(number)
        return self._extents.get(number) if unwritten is None else unwritten[1]

    def size(self, number: int) -> int:
        """Bytes of a chunk that is held; 0 of another."""
        found = self.locate(number)
        if found is None:
            return 0
        return found.size if isinstance(found, Extent) else len(found)

    def lose(self, number: int) -> int:
        """A chunk is held no more; its bytes, 0 if it was not held."""
        size = self.size(number)
        if self.have.discard(number):
            self.record.chunks -= 1
            self.record.bytes -= size
            if self._unwritten.pop(number, None) is None:
                self._extents.discard(number)
                self._changes.chunks.pop(number, None)
                self._changes.lost.add(number)
        return size

    def lose_rotten(self, number: int, place: Extent) -> int:
        """A chunk that has rotted is held no more; its bytes."""
        bad, _ = self._rewritten.pop(number, (None, 0))
        if bad != place:
            self._rotten[number] = place
        return self.lose(number)

    def lies_at(self, number: int, place: Extent, rewrites: int) -> bool:
        """Whether a chunk lies where it lay when `rewrites` was so much, and was not written there
        again since: only then is what was read there meanwhile still true."""
        _, since = self._rewritten.get(number, (None, 0))
        return self.locate(number) == place and since <= rewrites

    def cut(self, length: int) -> list[int]:
        """The file has only so many bytes: the numbers of the chunks that are lost by that."""
        lost = self.beyond(length)
        for number in lost:
            self.lose(number)
        self._rotten.clear()
        self.end = min(self.end, length)
        self.losses += len(lost)
        return lost

    def beyond(self, length: int) -> list[int]:
        """Written chunks that a file of this length cannot have."""
        extents = ((number, self._extents.get(number)) for number in self.have)
        return [n for n, place in extents if place and place.offset + place.size > length]

    # ------------------------------------------------------------ manifest

    def put_root(self, raw: bytes, version: int, segments: Collection[ChunkId] | None) -> None:
        """Another root; of segments only these are still needed (None: all)."""
        self.record.root = raw
        self.record.version = version
        if segments is not None:
            for chunk in self.segments.keys() - set(segments):
                del self.segments[chunk]
                self._changes.segments.pop(chunk, None)
                self._changes.unlisted.add(chunk)

    def put_segment(self, chunk_id: ChunkId, data: bytes) -> None:
        """Another segment."""
        self.segments[chunk_id] = data
        self._changes.segments[chunk_id] = data
        self._changes.unlisted.discard(chunk_id)

    # ------------------------------------------------------------ committing

    @property
    def confirmed(self) -> bool:
        """Whether all that was written is committed, or about to be."""
        return not self._changes.chunks

    def take_changes(self) -> Changes:
        """What is to be committed; none is left."""
        changes, self._changes = self._changes, Changes(self.record)
        return changes

    def give_back(self, changes: Changes) -> None:
        """These could not be committed; later ones stay on top."""
        later, self._changes = self._changes, changes
        changes.chunks.update(later.chunks)
        changes.segments.update(later.segments)
        changes.lost = (changes.lost - later.chunks.keys()) | later.lost
        changes.unlisted = (changes.unlisted - later.segments.keys()) | later.unlisted
        for number in later.lost:
            changes.chunks.pop(number, None)
        for chunk in later.unlisted:
            changes.segments.pop(chunk, None)
