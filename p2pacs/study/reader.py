"""Reading a study back: from verified root, segments and chunks to the same bytes.

Synchronous, for worker threads. In memory are the index, a few chunks, and one instance
at a time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Container, Iterator
from itertools import pairwise
from typing import Final

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import CodingError, CorruptStoreError, ManifestError, UsageError
from p2pacs.identity.keys import StudyKey
from p2pacs.ids import ChunkId
from p2pacs.limits import INDEX_PART_BYTES, SEAL_BYTES
from p2pacs.study.blobs import BlobRef
from p2pacs.study.builder import Published
from p2pacs.study.codecs import decode
from p2pacs.study.gathered import Gathered, GatheredBlob, decode_gathered
from p2pacs.study.images import HTJ2K_NEXT
from p2pacs.study.manifest import ENTRY, ChunkList, Root, check_successor
from p2pacs.study.parts import decode_part
from p2pacs.study.seal import open_chunk
from p2pacs.study.study_index import InstanceEntry, Stretches, StudyIndex

OPENED: Final = 16
"""Chunks whose plaintext is kept: small images share one, and all of a series its dictionary."""

ReadChunk = Callable[[int], bytes]
"""Gives the chunk (ciphertext) of a number."""


class StudyReader:
    """The instances of one study, as far as its index parts are here."""

    def __init__(self, key: StudyKey, root: Root, chunks: ChunkList) -> None:
        """Read the version ``root``, whose chunks are listed in ``chunks``.

        Raises:
            ManifestError: the list is not the root's.
        """
        _check_list(root, chunks)
        self._key = key
        self._chunks = chunks
        self._parts = 0
        self._opened: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self.root = root
        self.index = StudyIndex()

    def follow(self, root: Root, chunks: ChunkList) -> None:
        """Go on with a newer version; parts that were loaded stay.

        Raises:
            StaleVersionError: it does not extend the version held.
            ManifestError: the list is not the root's.
        """
        check_successor(self.root, root)
        _check_list(root, chunks)
        self.root, self._chunks = root, chunks

    @property
    def index_numbers(self) -> list[int]:
        """The chunks of all index parts not loaded yet: fetch them first."""
        return [number for part in self.root.parts[self._parts :] for number in part.numbers]

    @property
    def whole(self) -> bool:
        """Whether every index part of this version is loaded."""
        return self._parts == len(self.root.parts)

    def advance(self, have: Container[int], read: ReadChunk) -> list[InstanceEntry]:
        """Load the next index parts as far as all their chunks are held.

        Returns:
            The entries that they added or replaced.
        """
        entries: list[InstanceEntry] = []
        while not self.whole:
            if not all(number in have for number in self.root.parts[self._parts].numbers):
                break
            entries += self.load_part(read)
        return entries

    def load_part(self, read: ReadChunk) -> list[InstanceEntry]:
        """Load the next index part; the entries that it adds or replaces.

        Raises:
            UsageError: all parts are loaded.
            CorruptStoreError: a chunk does not match its id.
            CodingError: a chunk does not open with this key.
            ManifestError: the part is damaged, or contradicts the ones before.
        """
        if self.whole:
            raise UsageError("all index parts of this version are loaded")
        numbers = self.root.parts[self._parts].numbers
        if sum(self._chunks.size(number) for number in numbers) > INDEX_PART_BYTES:
            raise ManifestError("an index part has too many chunks")
        part = decode_part(b"".join(self._open(number, read) for number in numbers))
        entries = self.index.add(part)
        self._parts += 1
        return entries

    def chunks_of(self, entry: InstanceEntry) -> list[int]:
        """The numbers of the chunks that an instance needs, ascending; previews are not needed.

        Raises:
            ManifestError: the index names a chunk that the study does not have.
        """
        chunks: set[int] = set()
        for _, numbers in self._spans(entry, ()):
            chunks.update(numbers)
        return sorted(chunks)

    def levels(self, entry: InstanceEntry) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """What of an instance can be seen with which chunks, coarsest first.

        Returns:
            (level, the chunks that complete it beyond those of coarser levels), …; level 0,
            which is always there and last, is all of it. Level n shows its images 2**n times
            smaller.

        Raises:
            ManifestError: the index names a chunk that the study does not have.
        """
        chunks: dict[int, set[int]] = {0: set()}
        for level, numbers in self._spans(entry, entry.previews):
            chunks.setdefault(level, set()).update(numbers)
        seen: set[int] = set()
        levels: list[tuple[int, tuple[int, ...]]] = []
        for level in sorted(chunks, reverse=True):
            levels.append((level, tuple(sorted(chunks[level] - seen))))
            seen |= chunks[level]
        return tuple(levels)

    def _spans(self, entry: InstanceEntry, previews: Stretches) -> Iterator[tuple[int, range]]:
        """(Level, chunks) of the blobs of an instance, their dictionaries, and these previews."""
        blobs = self.index.blobs
        bases = {base for stretch in entry.ranges for base in blobs.bases(*stretch)}
        for first, count in (*entry.ranges, *((base, 1) for base in bases), *previews):
            for span in blobs.spans(first, count):
                if span.last >= len(self._chunks):
                    raise ManifestError("the index names a chunk that the study does not have")
                yield span.level, range(span.first, span.last + 1)

    def join(self, entry: InstanceEntry, read: ReadChunk) -> EncodedInstance:
        """The instance, bit for bit as the PACS sent it; decoded here.

        Raises:
            CorruptStoreError, CodingError, ManifestError: see `gather` and `decode_gathered`.
        """
        return decode_gathered(self.gather(entry, read))

    def gather(self, entry: InstanceEntry, read: ReadChunk) -> Gathered:
        """The coded blobs of an instance, which `decode_gathered` makes the instance of.

        Args:
            entry: out of the index.
            read: gives each chunk that `chunks_of` names; it may be asked twice.

        Raises:
            CorruptStoreError: a chunk does not match its id.
            CodingError: a chunk does not open, or what the index declares does not add up.
            ManifestError: the index names a chunk that the study does not have.
        """
        refs = self._checked_refs(entry)
        return Gathered(
            sop_class_uid=entry.sop_class_uid,
            sop_instance_uid=entry.sop_instance_uid,
            transfer_syntax_uid=entry.transfer_syntax_uid,
            sha256=entry.sha256,
            size=entry.size,
            study=self.root.study.short,
            blobs=tuple(self._gathered(refs, read)),
        )

    def gather_slices(
        self, entry: InstanceEntry, read: ReadChunk, most: int
    ) -> Iterator[tuple[GatheredBlob, ...]]:
        """The coded blobs of a large instance, some at a time, read when they are asked for.

        Args:
            entry: out of the index.
            read: gives each chunk that `chunks_of` names; it may be asked twice.
            most: bytes that together they have when decoded, unless one has more.

        Raises:
            CorruptStoreError, CodingError, ManifestError: see `gather`.
        """
        together: list[GatheredBlob] = []
        size = 0
        for blob in self._gathered(self._checked_refs(entry), read):
            if together and size + blob.size > most:
                yield tuple(together)
                together, size = [], 0
            together.append(blob)
            size += blob.size
        if together:
            yield tuple(together)

    def _checked_refs(self, entry: InstanceEntry) -> list[BlobRef]:
        refs = list(self.index.refs(entry))
        if sum(ref.size for ref in refs) != entry.size:
            raise CodingError("the blobs of an instance do not add up to its size")
        if sum(ref.coded for ref in refs) > entry.size:
            raise CodingError("the blobs of an instance are larger coded than decoded")
        return refs

    def preview(
        self, entry: InstanceEntry, frame: int, level: int, read: ReadChunk
    ) -> tuple[int, bytes] | None:
        """What shows a frame at a level, or at the next coarser one that there is.

        Args:
            entry: out of the index.
            frame: from 0.
            level: the frame 2**level times smaller; 0: the frame itself.
            read: gives the chunks that `levels` names for this level and coarser ones.

        Returns:
            Codec and coded bytes (a preview, a frame, or the beginning of one), of which
            `p2pacs.study.images.picture` makes an image; None if nothing shows it.

        Raises:
            CorruptStoreError, CodingError, ManifestError: see `gather`.
        """
        shown = self.index.shown(entry, frame, level)
        if not shown:
            return None
        refs = [self.index.blobs[number] for number in shown]
        return refs[0].codec, b"".join(self._coded(ref, read) for ref in refs)

    def blob(
        self, number: int, read: ReadChunk, first: int = 0, end: int | None = None
    ) -> GatheredBlob:
        """One coded blob of the index with its dictionary, or these of its coded bytes.

        Raises:
            CorruptStoreError, CodingError, ManifestError: see `gather`.
        """
        ref = self.index.blobs[number]
        dictionary = None if ref.base is None else self._dictionary(ref.base, read)
        return GatheredBlob(ref.codec, ref.size, self._coded(ref, read, first, end), dictionary)

    def blob_chunks(self, number: int, first: int = 0, end: int | None = None) -> set[int]:
        """The chunks that `blob` reads.

        Raises:
            ManifestError: the index names a chunk that the study does not have.
        """
        ref = self.index.blobs[number]
        stretches = list(self._stretches(ref, first, end))
        if ref.base is not None:
            stretches += self._stretches(self.index.blobs[ref.base])
        return {chunk for chunk, _, _ in stretches}

    def published(self) -> Published:
        """What a builder goes on from.

        Raises:
            UsageError: not all index parts are loaded.
        """
        if not self.whole:
            raise UsageError("load all index parts first")
        return Published(self.root, self._chunks, self.index)

    def _gathered(self, refs: list[BlobRef], read: ReadChunk) -> Iterator[GatheredBlob]:
        """The coded blobs, each frame's parts as one."""
        ends = [at for at, ref in enumerate(refs) if ref.codec != HTJ2K_NEXT][1:]
        for first, end in pairwise([0, *ends, len(refs)]):
            ref = refs[first]
            coded = b"".join(self._coded(part, read) for part in refs[first:end])
            dictionary = None if ref.base is None else self._dictionary(ref.base, read)
            yield GatheredBlob(ref.codec, ref.size, coded, dictionary)

    def _dictionary(self, number: int, read: ReadChunk) -> bytes:
        ref = self.index.blobs[number]
        return decode(ref.codec, self._coded(ref, read), ref.size)

    def _coded(
        self, ref: BlobRef, read: ReadChunk, first: int = 0, end: int | None = None
    ) -> bytes:
        return b"".join(
            self._plain(number, read)[start : start + length]
            for number, start, length in self._stretches(ref, first, end)
        )

    def _plain(self, number: int, read: ReadChunk) -> bytes:
        """The plaintext of a chunk. Neighbours often share one: the last few stay open."""
        with self._lock:
            plain = self._opened.get(number)
            if plain is not None:
                self._opened.move_to_end(number)
                return plain
        plain = self._open(number, read)
        with self._lock:
            self._opened[number] = plain
            while len(self._opened) > OPENED:
                self._opened.popitem(last=False)
        return plain

    def _stretches(
        self, ref: BlobRef, first: int = 0, end: int | None = None
    ) -> Iterator[tuple[int, int, int]]:
        """Where these coded bytes of a blob lie: (chunk, offset in its plaintext, length)."""
        number, start, left = ref.chunk, ref.offset + first, (end or ref.coded) - first
        while left > 0:
            if number >= len(self._chunks):
                raise ManifestError("the index names a chunk that the study does not have")
            plain = self._chunks.size(number) - SEAL_BYTES
            if plain <= (ref.offset if number == ref.chunk else 0):
                raise ManifestError("the index names bytes beyond the end of a chunk")
            if start < plain:
                length = min(left, plain - start)
                yield number, start, length
                left -= length
            number, start = number + 1, max(0, start - plain)

    def _open(self, number: int, read: ReadChunk) -> bytes:
        cipher = read(number)
        try:
            return open_chunk(self._key, cipher)
        except CodingError:
            if ChunkId.of(cipher) == self._chunks.id(number):
                raise
            raise CorruptStoreError(
                f"chunk {number} of study {self.root.study.short} is not as its id: fetch again"
            ) from None


def _check_list(root: Root, chunks: ChunkList) -> None:
    if len(chunks) < root.chunks:
        raise ManifestError("the chunk list is shorter than its root says")
    for number, segment in enumerate(root.segments):
        listed = chunks.segment(number)[: root.segment_chunks(number) * ENTRY.size]
        if ChunkId.of(listed) != segment:
            raise ManifestError("the chunk list is not the one that its root names")
