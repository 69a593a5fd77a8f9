"""Building the chunks and manifest of one study, version after version.

The builder knows what earlier versions have: an instance that did not change costs
nothing, one with a changed header costs that header, equal frames are kept once. In
memory are the index and what was appended since the last `cut`, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from attrs import evolve, field, frozen

from p2pacs.errors import BusyError, DuplicateInstanceError, UsageError, WrongStudyError
from p2pacs.identity.keys import StudyKey
from p2pacs.ids import ChunkId, StudyId
from p2pacs.limits import CHUNK_BYTES, INDEX_PARTS, SEAL_BYTES, SEGMENT_CHUNKS, STUDY_CHUNKS
from p2pacs.study.blobs import Run
from p2pacs.study.coding import CodedBlob, CodedInstance
from p2pacs.study.index import IndexPart, InstanceEntry, StudyIndex, encode_part
from p2pacs.study.manifest import ChunkList, Part, Root
from p2pacs.study.seal import seal

DEFAULT_CHUNK_BYTES: Final = 2 * (16 * 1024 - 64)
"""Slow lines did best with it: 64 KiB cost up to 8 % more, 128 KiB 15 %. Two blocks that fit,
each with its frame, in one TLS record (`p2pacs.swarm.dispatch.RECORD_DATA`): 128 bytes more would
need a third."""

MIN_CHUNK_BYTES: Final = 1024
"""Below it the chunk list outweighs what it lists."""


class Appended(StrEnum):
    """What became of an instance that was appended."""

    NEW = "new"
    CHANGED = "changed"
    """Known with other bytes: it replaces its earlier entry."""
    UNCHANGED = "unchanged"


@frozen
class Published:
    """A version that is out: what the next one goes on from."""

    root: Root
    chunks: ChunkList
    index: StudyIndex


@frozen
class Chunk:
    """A sealed chunk with its number in the study."""

    number: int
    id: ChunkId
    data: bytes = field(repr=False)


@frozen
class Batch:
    """What a cut adds: chunks to be stored before the root that names them is signed."""

    chunks: tuple[Chunk, ...]
    segments: tuple[tuple[ChunkId, bytes], ...]
    """Segments that are new or replace the last one, as they travel."""


class StudyBuilder:
    """Appends coded instances to a study and cuts them into sealed chunks."""

    def __init__(
        self,
        study: StudyId,
        key: StudyKey,
        study_instance_uid: str,
        previous: Published | None = None,
        *,
        chunk_bytes: int = DEFAULT_CHUNK_BYTES,
    ) -> None:
        """Begin a study, or go on from ``previous`` (which is not changed).

        Args:
            study: the study's id.
            key: the study's key; the same for all versions.
            study_instance_uid: every instance must have it.
            previous: the newest version that is out.
            chunk_bytes: ciphertext of a full chunk; a study keeps what it began with.

        Raises:
            UsageError: ``chunk_bytes`` out of bounds.
        """
        if not MIN_CHUNK_BYTES <= chunk_bytes <= CHUNK_BYTES:
            raise UsageError(f"a chunk has {MIN_CHUNK_BYTES} to {CHUNK_BYTES} bytes")
        self._key = key
        self._uid = study_instance_uid
        self._root = Root(study, 0, False, chunk_bytes, 0, 0, (), ())
        self._chunks = ChunkList()
        self._index = StudyIndex()
        if previous is not None:
            self._root = previous.root
            self._chunks = previous.chunks.copy()
            self._index = previous.index.copy()
        self._plain_bytes = self._root.chunk_bytes - SEAL_BYTES
        self._parts = list(self._root.parts)
        self._known = {digest: number for number, digest in enumerate(self._index.blobs.digests())}
        self._seen: set[str] = set()
        self._begin_run()

    def _begin_run(self) -> None:
        self._open = bytearray()
        self._sealed: list[Chunk] = []
        self._entries: dict[str, InstanceEntry] = {}
        self._first_blob = len(self._index.blobs)
        self._first_chunk = len(self._chunks)

    @property
    def pending_bytes(self) -> int:
        """Bytes of plaintext appended since the last `cut`, all in memory."""
        return len(self._sealed) * self._plain_bytes + len(self._open)

    @property
    def instances(self) -> int:
        """How many instances the study has by now."""
        return len(self._index.instances)

    def append(self, coded: CodedInstance) -> Appended:
        """Add an instance: what of it is not there yet.

        Raises:
            WrongStudyError: it is of another study.
            DuplicateInstanceError: this builder got the same UID with other bytes.
            BusyError: the study has as many chunks as a study may have.
        """
        if coded.study_instance_uid != self._uid:
            raise WrongStudyError(
                f"the PACS sent an instance of another study for {self._root.study.short}; "
                "it was left out"
            )
        uid = coded.sop_instance_uid
        known = self._index.instances.get(uid)
        if known is not None and _same(known, coded):
            self._seen.add(uid)
            return Appended.UNCHANGED
        if uid in self._seen:
            raise DuplicateInstanceError(
                f"the PACS sent two different instances of study {self._root.study.short} with one "
                "SOP Instance UID; the first was kept"
            )
        if len(self._chunks) + coded.size // self._plain_bytes >= STUDY_CHUNKS - INDEX_PARTS:
            raise BusyError(f"study {self._root.study.short} has reached {STUDY_CHUNKS} chunks")
        entry = InstanceEntry(
            sop_class_uid=coded.sop_class_uid,
            sop_instance_uid=uid,
            series_instance_uid=coded.series_instance_uid,
            transfer_syntax_uid=coded.transfer_syntax_uid,
            sha256=coded.sha256,
            size=coded.size,
            ranges=_ranges(self._place(blob) for blob in coded.blobs),
            json=coded.attributes,
        )
        self._seen.add(uid)
        self._index.instances[uid] = self._entries[uid] = entry
        return Appended.NEW if known is None else Appended.CHANGED

    def _place(self, blob: CodedBlob) -> int:
        """The number of this blob: an equal one's, or that of a new one in the open run."""
        known = self._known.get(blob.digest)
        if known is not None:
            return known
        chunk, offset = len(self._chunks), len(self._open)
        number = self._index.blobs.append(blob, chunk, offset)
        self._known[blob.digest] = number
        self._open += blob.coded
        whole = len(self._open) // self._plain_bytes * self._plain_bytes
        for at in range(0, whole, self._plain_bytes):
            self._seal(bytes(self._open[at : at + self._plain_bytes]))
        del self._open[:whole]
        return number

    def _seal(self, plain: bytes) -> None:
        data = seal(self._key, plain)
        chunk = ChunkId.of(data)
        self._sealed.append(Chunk(self._chunks.append(chunk, len(data)), chunk, data))

    def cut(self) -> Batch:
        """Close the run of blobs, append an index part for what is new, hand out the chunks.

        Raises:
            BusyError: the study has as many index parts as it may have.
        """
        if not self._entries:
            return Batch((), ())
        if len(self._parts) >= INDEX_PARTS:
            raise BusyError(f"study {self._root.study.short} has reached {INDEX_PARTS} index parts")
        if self._open:
            self._seal(bytes(self._open))
            self._open.clear()
        part = encode_part(self._part())
        first = len(self._chunks)
        for at in range(0, len(part), self._plain_bytes):
            self._seal(part[at : at + self._plain_bytes])
        self._parts.append(Part(first, len(self._chunks) - first))
        batch = Batch(tuple(self._sealed), tuple(self._segments(self._first_chunk)))
        self._begin_run()
        return batch

    def _part(self) -> IndexPart:
        blobs = self._index.blobs
        count = len(blobs) - self._first_blob
        runs = (Run(self._first_chunk, self._plain_bytes, count),) if count else ()
        columns = blobs.columns(self._first_blob, runs)
        return IndexPart(self._first_blob, columns, tuple(self._entries.values()))

    def _segments(self, first_chunk: int) -> Iterable[tuple[ChunkId, bytes]]:
        for number in range(first_chunk // SEGMENT_CHUNKS, self._chunks.segment_count):
            raw = self._chunks.segment(number)
            yield ChunkId.of(raw), raw

    def root(self, *, complete: bool) -> Root:
        """The manifest root of what was cut so far; the same one when nothing is new.

        Args:
            complete: whether the PACS has no more.
        """
        if len(self._chunks) != self._root.chunks or complete != self._root.complete:
            self._root = evolve(
                self._root,
                version=self._root.version + 1,
                complete=complete,
                chunks=len(self._chunks),
                total_bytes=self._chunks.total_bytes,
                segments=tuple(ChunkId.of(raw) for raw in self._chunks.segments()),
                parts=tuple(self._parts),
            )
        return self._root

    def published(self) -> Published:
        """What the next builder of this study goes on from: the newest root and all it names."""
        return Published(self._root, self._chunks.copy(), self._index.copy())


def _same(entry: InstanceEntry, coded: CodedInstance) -> bool:
    return (
        entry.sha256 == coded.sha256
        and entry.transfer_syntax_uid == coded.transfer_syntax_uid
        and entry.sop_class_uid == coded.sop_class_uid
    )


def _ranges(numbers: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Consecutive numbers as (first, count)."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and number == sum(ranges[-1]):
            ranges[-1] = (ranges[-1][0], ranges[-1][1] + 1)
        else:
            ranges.append((number, 1))
    return tuple(ranges)
