"""Building the chunks and manifest of one study, version after version.

The builder knows what earlier versions have: an instance that did not change costs
nothing, one with a changed header costs that header, equal frames are kept once. In
memory are the index, the dictionaries of a few series, and what was appended since the
last `cut`, nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Final

from attrs import evolve, field, frozen

from p2pacs.errors import BusyError, DuplicateInstanceError, UsageError, WrongStudyError
from p2pacs.identity.keys import StudyKey
from p2pacs.ids import ChunkId, StudyId
from p2pacs.limits import CHUNK_BYTES, INDEX_PARTS, SEAL_BYTES, STUDY_CHUNKS
from p2pacs.study.coding import CodedBlob, CodedInstance
from p2pacs.study.drafts import Drafts
from p2pacs.study.manifest import ChunkList, IndexSpan, Root, segment_of
from p2pacs.study.parts import encode_part
from p2pacs.study.seal import seal
from p2pacs.study.study_index import IndexPart, InstanceEntry, LeftOut, StudyIndex

DEFAULT_CHUNK_BYTES: Final = 2 * (16 * 1024 - 64)
"""Slow lines did best with it: 64 KiB cost up to 8 % more, 128 KiB 15 %. Two blocks that fit,
each with its frame, in one TLS record (`p2pacs.swarm.upload.block_size.RECORD_DATA`): 128 bytes
more would need a third."""

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
class Cut:
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
        self._drafts = Drafts(key, self._plain_bytes, self._index.blobs)
        self._seen: set[str] = set()
        self._withdrawn: list[str] = []
        self._left_out = self._index.left_out

    @property
    def pending_bytes(self) -> int:
        """Bytes appended since the last `cut`, those of the index too, all in memory."""
        return self._drafts.laid_bytes + self._drafts.entry_bytes

    @property
    def entries(self) -> Collection[InstanceEntry]:
        """The instances of the newest version that was cut."""
        return self._index.instances.values()

    @property
    def instances(self) -> int:
        """How many instances the study has by now."""
        return len(self.uids())

    def append(self, coded: CodedInstance) -> Appended:
        """Add an instance: what of it is not there yet.

        Raises:
            WrongStudyError: it is of another study.
            DuplicateInstanceError: this builder got the same UID with other bytes.
            BusyError: the study has as many chunks as a study may have.
        """
        self._check_study(coded.study_instance_uid)
        uid = coded.sop_instance_uid
        known = self._drafts.get(uid) or self._index.instances.get(uid)
        if known is not None and _same(known, coded):
            self._seen.add(uid)
            return Appended.UNCHANGED
        if uid in self._seen:
            raise DuplicateInstanceError(
                "two different instances with one SOP Instance UID: mend the PACS"
            )
        self._check_room(len(coded.blobs) + len(coded.previews), coded.coded_bytes)
        self._seen.add(uid)
        self._drafts.add(coded)
        return Appended.NEW if known is None else Appended.CHANGED

    def lay(self, study: str, series: str, blobs: Collection[CodedBlob]) -> None:
        """Add blobs of an instance that is appended later, without their bytes: so no more of a
        large one is in memory than was laid since the last `cut`.

        Args:
            study: its Study Instance UID.
            series: its Series Instance UID.
            blobs: whole frames with all their parts and previews, and other pieces.

        Raises:
            WrongStudyError, BusyError: as `append`.
        """
        self._check_study(study)
        self._check_room(len(blobs), sum(len(blob.coded) for blob in blobs))
        self._drafts.lay(series, blobs)

    def _check_study(self, study: str) -> None:
        if study != self._uid:
            raise WrongStudyError("the PACS sent an instance of another study: it was left out")

    def _check_room(self, blobs: int, coded_bytes: int) -> None:
        chunks = len(self._chunks) + self._drafts.chunks_with(blobs, coded_bytes)
        if chunks >= STUDY_CHUNKS - INDEX_PARTS:
            raise BusyError(f"study {self._root.study.short} has reached {STUDY_CHUNKS} chunks")

    def uids(self) -> set[str]:
        """SOP Instance UIDs of the study by now."""
        return {*self._index.instances, *self._drafts.instances()}

    def withdraw(self, uids: Iterable[str]) -> int:
        """Take out instances that the source has no longer, as far as the study has them.

        Returns:
            How many it had; their bytes stay with those of the versions before.
        """
        gone = [uid for uid in uids if self._index.instances.pop(uid, None) is not None]
        self._withdrawn += gone
        return len(gone)

    def leave_out(self, left_out: LeftOut) -> None:
        """Say what is missing from the next version on."""
        self._left_out = left_out

    def cut(self, *, last: bool = False) -> Cut:
        """Close the runs of blobs, append an index part for what is new, hand out the chunks.

        Args:
            last: whether the study ends with it, as far as that is known.

        Raises:
            BusyError: the study has as many index parts as it may have.
        """
        left_out = self._left_out if self._left_out != self._index.left_out else None
        if not self._drafts and not self._withdrawn and left_out is None:
            return Cut((), ())
        if len(self._parts) >= INDEX_PARTS:
            raise BusyError(f"study {self._root.study.short} has reached {INDEX_PARTS} index parts")
        first_blob, first_chunk = len(self._index.blobs), len(self._chunks)
        closed, entries = self._drafts.close(first_blob, first_chunk, ends=last)
        part = IndexPart(first_blob, closed.columns, entries, tuple(self._withdrawn), left_out)
        self._withdrawn = []
        self._index.add(part)
        chunks = [self._number(*sealed) for sealed in closed.chunks]
        coded = encode_part(part)
        for at in range(0, len(coded), self._plain_bytes):
            data = seal(self._key, coded[at : at + self._plain_bytes])
            chunks.append(self._number(ChunkId.of(data), data))
        parted = len(closed.chunks)
        self._parts.append(IndexSpan(first_chunk + parted, len(chunks) - parted))
        return Cut(tuple(chunks), tuple(self._segments(first_chunk)))

    def _number(self, chunk: ChunkId, data: bytes) -> Chunk:
        return Chunk(self._chunks.append(chunk, len(data)), chunk, data)

    def _segments(self, first_chunk: int) -> Iterable[tuple[ChunkId, bytes]]:
        for number in range(segment_of(first_chunk), self._chunks.segment_count):
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
