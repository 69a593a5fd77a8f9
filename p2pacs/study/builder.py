"""Building the chunks and manifest of one study, version after version.

The builder knows what earlier versions have: an instance that did not change costs
nothing, one with a changed header costs that header, equal frames are kept once. In
memory are the index, the dictionaries of a few series, and what was appended since the
last `cut`, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from itertools import count
from typing import Final

from attrs import define, evolve, field, frozen

from p2pacs.errors import BusyError, DuplicateInstanceError, UsageError, WrongStudyError
from p2pacs.identity.keys import StudyKey
from p2pacs.ids import ChunkId, StudyId
from p2pacs.limits import CHUNK_BYTES, INDEX_PARTS, SEAL_BYTES, SEGMENT_CHUNKS, STUDY_CHUNKS
from p2pacs.study.blobs import LEVELS, key_of
from p2pacs.study.codecs import RAW
from p2pacs.study.coding import CodedBlob, CodedInstance
from p2pacs.study.dictionary import HeaderCoder
from p2pacs.study.images import HTJ2K_NEXT, JXL
from p2pacs.study.index import IndexPart, InstanceEntry, Stretches, StudyIndex
from p2pacs.study.manifest import ChunkList, Part, Root
from p2pacs.study.parts import encode_part
from p2pacs.study.runs import Closed, OpenRuns
from p2pacs.study.seal import seal
from p2pacs.study.split import Kind

DEFAULT_CHUNK_BYTES: Final = 2 * (16 * 1024 - 64)
"""Slow lines did best with it: 64 KiB cost up to 8 % more, 128 KiB 15 %. Two blocks that fit,
each with its frame, in one TLS record (`p2pacs.swarm.dispatch.RECORD_DATA`): 128 bytes more would
need a third."""

MIN_CHUNK_BYTES: Final = 1024
"""Below it the chunk list outweighs what it lists."""


_COARSE_FIRST: Final = range(LEVELS - 1, -1, -1)


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


@define(eq=False)
class _Draft:
    """An instance whose blobs have no numbers yet."""

    entry: InstanceEntry
    blobs: list[int] = field(factory=list)
    """Places."""
    previews: dict[int, None] = field(factory=dict)
    """Places, each once, in order."""
    is_new: bool = False
    """Whether the last frame was laid for this instance."""

    def finished(self, closed: Closed) -> InstanceEntry:
        """The entry, now that the runs are closed."""
        return evolve(
            self.entry,
            ranges=_stretches(map(closed.number, self.blobs)),
            previews=_stretches(map(closed.number, self.previews)),
        )


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
        self._places = {key: number for number, key in enumerate(self._index.blobs.keys())}
        self._open = OpenRuns(key, self._plain_bytes)
        self._headers = HeaderCoder()
        self._drafts: dict[str, _Draft] = {}
        self._seen: set[str] = set()

    @property
    def pending_bytes(self) -> int:
        """Bytes of plaintext appended since the last `cut`, all in memory."""
        return self._open.pending_bytes

    @property
    def instances(self) -> int:
        """How many instances the study has by now."""
        return len(self._index.instances.keys() | self._drafts.keys())

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
        draft = self._drafts.get(uid)
        known = draft.entry if draft is not None else self._index.instances.get(uid)
        if known is not None and _same(known, coded):
            self._seen.add(uid)
            return Appended.UNCHANGED
        if uid in self._seen:
            raise DuplicateInstanceError(
                f"the PACS sent two different instances of study {self._root.study.short} with one "
                "SOP Instance UID; the first was kept"
            )
        pending = (self._open.pending_bytes + coded.coded_bytes) // self._plain_bytes + LEVELS
        if len(self._chunks) + pending >= STUDY_CHUNKS - INDEX_PARTS:
            raise BusyError(f"study {self._root.study.short} has reached {STUDY_CHUNKS} chunks")
        self._seen.add(uid)
        self._drafts[uid] = self._draft(coded)
        return Appended.NEW if known is None else Appended.CHANGED

    def _draft(self, coded: CodedInstance) -> _Draft:
        entry = InstanceEntry(
            sop_class_uid=coded.sop_class_uid,
            sop_instance_uid=coded.sop_instance_uid,
            series_instance_uid=coded.series_instance_uid,
            transfer_syntax_uid=coded.transfer_syntax_uid,
            sha256=coded.sha256,
            size=coded.size,
            ranges=(),
            json=coded.attributes,
        )
        draft = _Draft(entry)
        previews = {blob.digest: blob for blob in coded.previews}
        for blob in coded.blobs:
            if blob.kind is Kind.FRAME:
                self._place_frame(draft, blob, previews.get(blob.digest))
            elif blob.kind is Kind.HEADER and blob.codec == RAW:
                draft.blobs.append(self._place_header(coded.series_instance_uid, blob))
            else:
                draft.blobs.append(self._place(blob))
        return draft

    def _place(self, blob: CodedBlob, base: int | None = None) -> int:
        """The place of this blob: an equal one's, or that of a new one."""
        place = self._places.get(blob.key)
        if place is None:
            place = self._places[blob.key] = self._open.add(blob, base)
        return place

    def _place_header(self, series: str, blob: CodedBlob) -> int:
        place = self._places.get(blob.key)
        if place is not None:
            return place
        named = self._headers.code(series, blob)
        return self._place(named.blob, None if named.base is None else self._places[named.base])

    def _place_frame(self, draft: _Draft, blob: CodedBlob, preview: CodedBlob | None) -> None:
        """One part of a frame; those that follow the first come one by one.

        An equal frame may have been coded otherwise: all of its parts are taken, and none
        of this one's.
        """
        if blob.codec == HTJ2K_NEXT:
            if draft.is_new:
                draft.blobs.append(self._place(blob))
            return
        draft.is_new = blob.key not in self._places
        draft.blobs.append(self._place(blob))
        if not draft.is_new:
            further = self._further(blob.digest)
            draft.blobs += further
            if further:
                preview = None  # the frame's beginning is one
        key = key_of(blob.digest, Kind.PREVIEW, JXL, 0)
        if preview is not None or key in self._places:
            draft.previews.setdefault(self._place(preview) if preview else self._places[key])

    def _further(self, digest: bytes) -> list[int]:
        """Places of the further parts of a known frame, coarse ones first."""
        keys = (key_of(digest, Kind.FRAME, HTJ2K_NEXT, level) for level in _COARSE_FIRST)
        return [self._places[key] for key in keys if key in self._places]

    def cut(self) -> Batch:
        """Close the runs of blobs, append an index part for what is new, hand out the chunks.

        Raises:
            BusyError: the study has as many index parts as it may have.
        """
        if not self._drafts:
            return Batch((), ())
        if len(self._parts) >= INDEX_PARTS:
            raise BusyError(f"study {self._root.study.short} has reached {INDEX_PARTS} index parts")
        first_blob, first_chunk = len(self._index.blobs), len(self._chunks)
        closed = self._open.close(first_blob, first_chunk)
        self._places.update(zip(closed.keys, count(first_blob)))
        entries = tuple(draft.finished(closed) for draft in self._drafts.values())
        self._drafts = {}
        part = IndexPart(first_blob, closed.columns, entries)
        self._index.add(part)
        chunks = [self._number(*sealed) for sealed in closed.chunks]
        coded = encode_part(part)
        for at in range(0, len(coded), self._plain_bytes):
            data = seal(self._key, coded[at : at + self._plain_bytes])
            chunks.append(self._number(ChunkId.of(data), data))
        parted = len(closed.chunks)
        self._parts.append(Part(first_chunk + parted, len(chunks) - parted))
        return Batch(tuple(chunks), tuple(self._segments(first_chunk)))

    def _number(self, chunk: ChunkId, data: bytes) -> Chunk:
        return Chunk(self._chunks.append(chunk, len(data)), chunk, data)

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


def _stretches(numbers: Iterable[int]) -> Stretches:
    """Consecutive numbers as (first, count)."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and number == sum(ranges[-1]):
            ranges[-1] = (ranges[-1][0], ranges[-1][1] + 1)
        else:
            ranges.append((number, 1))
    return tuple(ranges)
