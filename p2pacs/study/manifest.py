"""The manifest of a study in the clear: the signed root, and the segments of chunk ids.

Loading is verifying: `load_root` and `load_segment` are the only ways in which bytes of
a stranger become a `Root` or a `Segment`. docs/formats.md has them byte by byte.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

import msgpack
from attrs import field, frozen

from p2pacs.errors import (
    BadSignatureError,
    ChunkMismatchError,
    ManifestError,
    StaleVersionError,
)
from p2pacs.identity.keys import SIGNATURE_BYTES, SigningKey, Verifier
from p2pacs.ids import ChunkId, StudyId
from p2pacs.limits import (
    CHUNK_BYTES,
    DELEGATION_BYTES,
    INDEX_PARTS,
    ROOT_BYTES,
    SEAL_BYTES,
    SEGMENT_CHUNKS,
    STUDY_CHUNKS,
)
from p2pacs.study.delegation import Delegation, load_delegation

PURPOSE: Final = b"p2pacs manifest root"
DELEGATED_PURPOSE: Final = b"p2pacs delegated manifest root"
FORMAT: Final = 2

DELEGATED: Final = 0x03
"""First byte of what a member signs; what a broker signs begins with an array of msgpack (0x99)."""

_SIGNED: Final = struct.Struct(">Q")
_HEAD_BYTES: Final = 1 + DELEGATION_BYTES + _SIGNED.size

BEGINNING: Final = 48
"""Chunks in the first segment: those that a study begins with, small ones (`p2pacs.study.runs`).
Their list comes with the grant, so that a member can choose what it is offered at once ..."""

SECOND: Final = 256
"""... and the second segment lists those up to here: 7.5 KB, where the longest one has 37."""

_STARTS: Final = (0, BEGINNING, SECOND)

ENTRY: Final = struct.Struct(">32sI")
"""One chunk in a segment: its id, and the bytes of its ciphertext."""

_PART: Final = struct.Struct(">II")
_VERSIONS: Final = 2**32


@frozen
class IndexSpan:
    """Where an index part lies: consecutive chunks that hold nothing else."""

    chunk: int
    """Number of the first chunk."""
    count: int

    @property
    def numbers(self) -> range:
        """The numbers of its chunks."""
        return range(self.chunk, self.chunk + self.count)


@frozen
class Root:
    """One version of a study's manifest, verified by `load_root` or made by the builder."""

    study: StudyId
    version: int
    """From 1 on; 0 in a builder that has cut nothing yet."""
    complete: bool
    """Whether the PACS had no more when this version was made."""
    chunk_bytes: int
    """No chunk of the study has more."""
    chunks: int
    """How many chunks the study has."""
    total_bytes: int
    """Bytes of all chunks."""
    segments: tuple[ChunkId, ...]
    """Each lists the chunks from its `segment_start` to that of the next, the last one the rest."""
    parts: tuple[IndexSpan, ...]
    """The index parts, in the order in which they are read."""
    delegation: Delegation | None = field(default=None, eq=False, kw_only=True)
    """By whose leave a member signed it; None: a broker did. The version is the same either way."""

    def segment_chunks(self, segment: int) -> int:
        """How many chunks a segment lists."""
        return min(segment_start(segment + 1), self.chunks) - segment_start(segment)


def segment_of(number: int) -> int:
    """Which segment lists the chunk of this number."""
    if number < SEGMENT_CHUNKS:
        return bisect_right(_STARTS, number) - 1
    return len(_STARTS) - 1 + number // SEGMENT_CHUNKS


def segment_start(segment: int) -> int:
    """Number of the first chunk that a segment lists."""
    if segment < len(_STARTS):
        return _STARTS[segment]
    return (segment - len(_STARTS) + 1) * SEGMENT_CHUNKS


def segment_count(chunks: int) -> int:
    """How many segments list so many chunks."""
    return segment_of(chunks - 1) + 1 if chunks else 0


def sign_root(root: Root, key: SigningKey) -> bytes:
    """The root as it travels: the broker's signature, then msgpack."""
    payload = _encode(root)
    return key.sign(payload, PURPOSE) + payload


def sign_delegated_root(root: Root, key: SigningKey, delegation: bytes, signed: int) -> bytes:
    """The root as it travels if a member signs it: its signature, the delegation, msgpack.

    Args:
        root: of a version that the delegation allows.
        key: whose public half the delegation names.
        delegation: as the broker gave it (`p2pacs.study.delegation`).
        signed: milliseconds since 1970, while the delegation lasts.
    """
    payload = bytes([DELEGATED]) + delegation + _SIGNED.pack(signed) + _encode(root)
    return key.sign(payload, DELEGATED_PURPOSE) + payload


def _encode(root: Root) -> bytes:
    payload: bytes = msgpack.packb(
        [
            FORMAT,
            bytes(root.study),
            root.version,
            root.complete,
            root.chunk_bytes,
            root.chunks,
            root.total_bytes,
            b"".join(map(bytes, root.segments)),
            b"".join(_PART.pack(part.chunk, part.count) for part in root.parts),
        ]
    )
    return payload


def load_root(raw: bytes, key: Verifier, study: StudyId) -> Root:
    """The root in these bytes, verified: signed by a broker, or by a member that one delegated to.

    Args:
        raw: as `sign_root` or `sign_delegated_root` gave it.
        key: of the brokers of this network.
        study: the study that it must be of.

    Raises:
        BadSignatureError: not signed by a broker, nor by whom one let sign.
        ManifestError: too long, of another study or format, contradicting itself, or signed after
            the delegation had ended, or with a version that it does not reach.
    """
    if not SIGNATURE_BYTES < len(raw) <= ROOT_BYTES:
        raise ManifestError(f"a manifest root has at most {ROOT_BYTES} bytes, not {len(raw)}")
    signature, payload = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
    if payload[0] == DELEGATED:
        root = _load_delegated(signature, payload, key, study)
    else:
        key.verify(signature, payload, PURPOSE)
        root = _decode(payload)
    if root.study != study:
        raise ManifestError(f"the manifest of study {root.study.short} came for {study.short}")
    return root


def _load_delegated(signature: bytes, payload: bytes, key: Verifier, study: StudyId) -> Root:
    if len(payload) <= _HEAD_BYTES:
        raise ManifestError("a manifest root that a member signed is too short")
    delegation = load_delegation(payload[1 : 1 + DELEGATION_BYTES], key, study)
    try:
        delegation.key.verify(signature, payload, DELEGATED_PURPOSE)
    except BadSignatureError as error:
        raise BadSignatureError(
            f"study {study.short}: not signed by the member that may"
        ) from error
    (signed,) = _SIGNED.unpack_from(payload, 1 + DELEGATION_BYTES)
    if not delegation.begins <= signed <= delegation.ends:
        raise ManifestError(f"the manifest of study {study.short} was signed out of its time")
    root = _decode(payload[_HEAD_BYTES:], delegation)
    if root.version <= delegation.above:
        raise ManifestError(
            f"study {study.short}: a member may only sign above version {delegation.above}"
        )
    return root


def _decode(payload: bytes, delegation: Delegation | None = None) -> Root:
    try:
        fields = msgpack.unpackb(payload, max_array_len=16, max_map_len=0, max_ext_len=0)
    except (ValueError, TypeError) as error:
        raise ManifestError("a manifest root is not msgpack") from error
    if not isinstance(fields, list) or not fields or fields[0] != FORMAT:
        raise ManifestError("a manifest root of a format that this version does not know")
    kinds = (int, bytes, int, bool, int, int, int, bytes, bytes)
    if [type(value) for value in fields] != list(kinds):
        raise ManifestError("a manifest root has a missing field or one of a wrong type")
    _, study, version, complete, chunk_bytes, chunks, total, segments, parts = fields
    if len(study) != StudyId.size or len(segments) % ChunkId.size or len(parts) % _PART.size:
        raise ManifestError("a manifest root has a field of a wrong length")
    root = Root(
        StudyId(study),
        version,
        complete,
        chunk_bytes,
        chunks,
        total,
        tuple(ChunkId(segments[at : at + 32]) for at in range(0, len(segments), 32)),
        tuple(IndexSpan(*pair) for pair in _PART.iter_unpack(parts)),
        delegation=delegation,
    )
    _check(root)
    return root


def _check(root: Root) -> None:
    """Every number within its limits, and all agreeing with each other."""
    in_bounds = (
        0 < root.version < _VERSIONS
        and SEAL_BYTES < root.chunk_bytes <= CHUNK_BYTES
        and 0 <= root.chunks <= STUDY_CHUNKS
        and root.chunks * SEAL_BYTES <= root.total_bytes <= root.chunks * root.chunk_bytes
        and len(root.parts) <= INDEX_PARTS
    )
    if not in_bounds:
        raise ManifestError("a manifest root has a number out of bounds")
    if len(root.segments) != segment_count(root.chunks):
        raise ManifestError("a manifest root lists too many or too few segments")
    end = 0
    for part in root.parts:
        if part.chunk < end or part.count < 1:
            raise ManifestError("the index parts of a manifest root overlap")
        end = part.chunk + part.count
    if end > root.chunks:
        raise ManifestError("an index part lies beyond the last chunk")


def check_successor(old: Root, new: Root) -> None:
    """Return if ``new`` only extends ``old`` (or is the same).

    Raises:
        StaleVersionError: an older version, one that contradicts what was there, or one that a
            member signed by a delegation that somebody else's version has ended.
    """
    if new == old:
        return
    if new.delegation is not None and new.delegation.above < old.version:
        signer = None if old.delegation is None else old.delegation.member
        if signer != new.delegation.member:
            raise StaleVersionError(
                f"a delegation for study {new.study.short} ended with version {old.version}"
            )
    if new.version <= old.version:
        raise StaleVersionError(
            f"version {new.version} of study {new.study.short} came after {old.version}"
        )
    full = segment_of(old.chunks)
    kept = (
        new.study == old.study
        and new.chunks >= old.chunks
        and new.total_bytes >= old.total_bytes
        and new.chunk_bytes == old.chunk_bytes
        and new.segments[:full] == old.segments[:full]
        and new.parts[: len(old.parts)] == old.parts
        and (new.chunks > old.chunks or new.segments == old.segments)
        and all(part.chunk >= old.chunks for part in new.parts[len(old.parts) :])
    )
    if not kept:
        raise StaleVersionError(
            f"version {new.version} of study {new.study.short} contradicts {old.version}"
        )


@frozen
class Segment:
    """Ids and sizes of consecutive chunks, verified."""

    number: int
    raw: bytes


def load_segment(raw: bytes, root: Root, number: int) -> Segment:
    """The segment of this number in these bytes, verified against the root.

    Raises:
        ChunkMismatchError: the bytes are not that segment's.
        ManifestError: it does not list what the root says.
    """
    if not 0 <= number < len(root.segments):
        raise ManifestError(f"study {root.study.short} has no segment {number}")
    if len(raw) > CHUNK_BYTES or ChunkId.of(raw) != root.segments[number]:
        raise ChunkMismatchError(f"segment {number} of study {root.study.short} has another id")
    if len(raw) != root.segment_chunks(number) * ENTRY.size:
        raise ManifestError(f"segment {number} of study {root.study.short} has a wrong length")
    for _, size in ENTRY.iter_unpack(raw):
        if not SEAL_BYTES < size <= root.chunk_bytes:
            raise ManifestError(f"segment {number} of study {root.study.short} has a wrong size")
    return Segment(number, raw)


class ChunkList:
    """Ids and sizes of a study's chunks, packed: 36 bytes each. It only ever grows."""

    def __init__(self) -> None:
        self._raw = bytearray()
        self.total_bytes = 0

    def __len__(self) -> int:
        return len(self._raw) // ENTRY.size

    def __getitem__(self, number: int) -> tuple[ChunkId, int]:
        """Id and bytes of the chunk of this number; `IndexError` beyond the end."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        digest, size = ENTRY.unpack_from(self._raw, number * ENTRY.size)
        return ChunkId(digest), size

    def id(self, number: int) -> ChunkId:
        """The chunk's id."""
        return self[number][0]

    def size(self, number: int) -> int:
        """The chunk's bytes."""
        return self[number][1]

    def append(self, chunk: ChunkId, size: int) -> int:
        """Add a chunk; its number."""
        self._raw += ENTRY.pack(bytes(chunk), size)
        self.total_bytes += size
        return len(self) - 1

    @property
    def segment_count(self) -> int:
        """How many segments list these chunks."""
        return segment_count(len(self))

    def segment(self, number: int) -> bytes:
        """The segment of this number as it travels."""
        first, end = segment_start(number), segment_start(number + 1)
        return bytes(self._raw[first * ENTRY.size : end * ENTRY.size])

    def segments(self) -> Iterator[bytes]:
        """All segments, in order."""
        for number in range(self.segment_count):
            yield self.segment(number)

    def missing(self, root: Root) -> list[int]:
        """Numbers of the segments that this list lacks to agree with a root."""
        if len(self) >= root.chunks:
            return []
        return list(range(segment_of(len(self)), len(root.segments)))

    def extend(self, segment: Segment) -> None:
        """Take in the next segment, or one that replaces the last by a longer one.

        Raises:
            ManifestError: it is not the next one.
            StaleVersionError: it contradicts what was there.
        """
        at = segment_start(segment.number) * ENTRY.size
        held = bytes(self._raw[at:])
        if at > len(self._raw) or len(held) > len(segment.raw):
            raise ManifestError(f"segment {segment.number} is not the next one")
        if not segment.raw.startswith(held):
            raise StaleVersionError(f"segment {segment.number} contradicts an earlier version")
        added = segment.raw[len(held) :]
        self._raw += added
        self.total_bytes += sum(size for _, size in ENTRY.iter_unpack(added))

    def copy(self) -> ChunkList:
        """A copy that grows apart."""
        other = ChunkList()
        other._raw = self._raw[:]
        other.total_bytes = self.total_bytes
        return other
