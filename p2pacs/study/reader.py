"""Reading a study back: from verified root, segments and chunks to the same bytes.

Synchronous, for worker threads. In memory are the index and one instance at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterator

from p2pacs.errors import CodingError, CorruptStoreError, ManifestError, UsageError
from p2pacs.identity.keys import StudyKey
from p2pacs.ids import ChunkId
from p2pacs.instance import EncodedInstance
from p2pacs.limits import INDEX_PART_BYTES, SEAL_BYTES
from p2pacs.study.blobs import BlobRef
from p2pacs.study.builder import Published
from p2pacs.study.codecs import decode
from p2pacs.study.index import InstanceEntry, StudyIndex, decode_part
from p2pacs.study.manifest import ENTRY, ChunkList, Root, check_successor
from p2pacs.study.seal import open_chunk

Read = Callable[[int], bytes]
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

    def advance(self, have: Container[int], read: Read) -> list[InstanceEntry]:
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

    def load_part(self, read: Read) -> list[InstanceEntry]:
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
        self.index.add(part)
        self._parts += 1
        return list(part.instances)

    def chunks_of(self, entry: InstanceEntry) -> list[int]:
        """The numbers of the chunks that an instance needs, ascending.

        Raises:
            ManifestError: the index names a chunk that the study does not have.
        """
        numbers: set[int] = set()
        for ref in self.index.refs(entry):
            numbers.update(number for number, _, _ in self._stretches(ref))
        return sorted(numbers)

    def join(self, entry: InstanceEntry, read: Read) -> EncodedInstance:
        """The instance, bit for bit as the PACS sent it.

        Args:
            entry: out of the index.
            read: gives each chunk that `chunks_of` names; it may be asked twice.

        Raises:
            CorruptStoreError: a chunk does not match its id.
            CodingError: a chunk does not open, a blob does not decode, or the result is not
                what was published.
            ManifestError: the index names a chunk that the study does not have.
        """
        refs = list(self.index.refs(entry))
        if sum(ref.size for ref in refs) != entry.size:
            raise CodingError("the blobs of an instance do not add up to its size")
        data = b"".join(self._blobs(refs, read))
        if hashlib.sha256(data).digest() != entry.sha256:
            raise CodingError(
                f"an instance of study {self.root.study.short} did not come out exact"
            )
        return EncodedInstance(
            entry.sop_class_uid, entry.sop_instance_uid, entry.transfer_syntax_uid, data
        )

    def published(self) -> Published:
        """What a builder goes on from.

        Raises:
            UsageError: not all index parts are loaded.
        """
        if not self.whole:
            raise UsageError("load all index parts first")
        return Published(self.root, self._chunks, self.index)

    def _blobs(self, refs: list[BlobRef], read: Read) -> Iterator[bytes]:
        """The decoded blobs. Neighbours often share a chunk: the last one is kept open."""
        at, plain = -1, b""
        for ref in refs:
            pieces: list[bytes] = []
            for number, start, length in self._stretches(ref):
                if number != at:
                    at, plain = number, self._open(number, read)
                pieces.append(plain[start : start + length])
            yield decode(ref.codec, b"".join(pieces), ref.size)

    def _stretches(self, ref: BlobRef) -> Iterator[tuple[int, int, int]]:
        """Where a blob lies: (chunk, offset in its plaintext, length), chunk after chunk."""
        number, start, left = ref.chunk, ref.offset, ref.coded
        while left > 0:
            if number >= len(self._chunks):
                raise ManifestError("the index names a chunk that the study does not have")
            length = min(left, self._chunks.size(number) - SEAL_BYTES - start)
            if length <= 0:
                raise ManifestError("the index names bytes beyond the end of a chunk")
            yield number, start, length
            number, start, left = number + 1, 0, left - length

    def _open(self, number: int, read: Read) -> bytes:
        cipher = read(number)
        try:
            return open_chunk(self._key, cipher)
        except CodingError:
            if ChunkId.of(cipher) == self._chunks.id(number):
                raise
            raise CorruptStoreError(
                f"chunk {number} of study {self.root.study.short} does not match its id; "
                "it must be fetched again"
            ) from None


def _check_list(root: Root, chunks: ChunkList) -> None:
    if len(chunks) < root.chunks:
        raise ManifestError("the chunk list is shorter than its root says")
    for number, segment in enumerate(root.segments):
        listed = chunks.segment(number)[: root.segment_chunks(number) * ENTRY.size]
        if ChunkId.of(listed) != segment:
            raise ManifestError("the chunk list is not the one that its root names")
