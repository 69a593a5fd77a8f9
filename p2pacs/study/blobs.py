"""The table of a study's blobs: where each lies in the chunks, packed in columns.

Blobs have numbers that never change: a later version only appends. A study of 100,000
frames takes 3 MB here; as objects it would take 40.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from typing import Final

from attrs import frozen

from p2pacs.errors import ManifestError
from p2pacs.limits import BLOB_BYTES, PLAIN_BYTES, STUDY_CHUNKS
from p2pacs.study.coding import DIGEST_BYTES, CodedBlob
from p2pacs.study.split import Kind

_KINDS: Final = frozenset(Kind)


@frozen
class BlobRef:
    """Where a blob lies and what it is."""

    chunk: int
    """Number of the chunk where it begins."""
    offset: int
    """Offset in that chunk's plaintext; it goes on in the chunks that follow."""
    coded: int
    """Bytes as coded."""
    size: int
    """Bytes when decoded."""
    codec: int
    kind: Kind


@frozen
class Run:
    """Blobs that lie end to end in consecutive chunks, all full but the last."""

    chunk: int
    """Number of the first chunk."""
    plain_bytes: int
    """Plaintext of a full chunk."""
    blobs: int
    """How many blobs it has."""


@frozen
class Columns:
    """Consecutive blobs as the columns of an index part (docs/formats.md)."""

    runs: tuple[Run, ...]
    coded: bytes
    size: bytes
    codec: bytes
    kind: bytes
    digest: bytes

    def __len__(self) -> int:
        return len(self.codec)


class BlobTable:
    """All blobs of a study, by number."""

    def __init__(self) -> None:
        self._chunk = array("I")
        self._offset = array("H")
        self._coded = array("I")
        self._size = array("I")
        self._codec = bytearray()
        self._kind = bytearray()
        self._digest = bytearray()

    def __len__(self) -> int:
        return len(self._codec)

    def __getitem__(self, number: int) -> BlobRef:
        if not 0 <= number < len(self):
            raise ManifestError("the index names a blob that it does not have")
        return BlobRef(
            self._chunk[number],
            self._offset[number],
            self._coded[number],
            self._size[number],
            self._codec[number],
            Kind(self._kind[number]),
        )

    def digests(self) -> Iterator[bytes]:
        """The digest of every blob, in order of their numbers."""
        for at in range(0, len(self._digest), DIGEST_BYTES):
            yield bytes(self._digest[at : at + DIGEST_BYTES])

    def append(self, blob: CodedBlob, chunk: int, offset: int) -> int:
        """Add a blob that begins there; its number."""
        self._chunk.append(chunk)
        self._offset.append(offset)
        self._coded.append(len(blob.coded))
        self._size.append(blob.size)
        self._codec.append(blob.codec)
        self._kind.append(blob.kind)
        self._digest += blob.digest
        return len(self) - 1

    def columns(self, first: int, runs: tuple[Run, ...]) -> Columns:
        """The blobs from number ``first`` on, which lie in these runs."""
        return Columns(
            runs=runs,
            coded=_big_endian(self._coded[first:]),
            size=_big_endian(self._size[first:]),
            codec=bytes(self._codec[first:]),
            kind=bytes(self._kind[first:]),
            digest=bytes(self._digest[first * DIGEST_BYTES :]),
        )

    def extend(self, columns: Columns) -> None:
        """Add the blobs of an index part.

        Raises:
            ManifestError: columns of different lengths, or values out of bounds; nothing is added.
        """
        count = len(columns)
        same = {len(columns.kind), len(columns.coded) / 4, len(columns.size) / 4}
        if same - {count} or len(columns.digest) != count * DIGEST_BYTES:
            raise ManifestError("the columns of an index part differ in length")
        coded, size = _native(columns.coded), _native(columns.size)
        if any(kind not in _KINDS for kind in columns.kind):
            raise ManifestError("an index part has a blob of unknown kind: update p2pacs")
        if any(length > BLOB_BYTES or not length for column in (coded, size) for length in column):
            raise ManifestError(f"an index part has a blob of 0 or more than {BLOB_BYTES} bytes")
        chunk, offset = _places(columns.runs, coded)
        self._chunk += chunk
        self._offset += offset
        self._coded += coded
        self._size += size
        self._codec += columns.codec
        self._kind += columns.kind
        self._digest += columns.digest

    def copy(self) -> BlobTable:
        """A copy that grows apart."""
        other = BlobTable()
        for name, column in vars(self).items():
            setattr(other, name, column[:])
        return other


def _places(runs: tuple[Run, ...], coded: array[int]) -> tuple[array[int], array[int]]:
    """First chunk and offset of every blob: blobs of a run lie end to end."""
    if sum(run.blobs for run in runs) != len(coded):
        raise ManifestError("the runs of an index part do not have as many blobs as its columns")
    chunk, offset = array("I"), array("H")
    number = 0
    for run in runs:
        if not 0 < run.plain_bytes <= PLAIN_BYTES:
            raise ManifestError("an index part has a run whose chunks are too large")
        at = run.chunk * run.plain_bytes
        for length in coded[number : number + run.blobs]:
            chunk.append(min(at // run.plain_bytes, STUDY_CHUNKS))
            offset.append(at % run.plain_bytes)
            at += length
        number += run.blobs
        if at > STUDY_CHUNKS * run.plain_bytes:
            raise ManifestError(f"an index part has blobs beyond chunk {STUDY_CHUNKS}")
    return chunk, offset


def _big_endian(column: array[int]) -> bytes:
    swapped = column[:]
    if sys.byteorder == "little":
        swapped.byteswap()
    return swapped.tobytes()


def _native(raw: bytes) -> array[int]:
    column = array("I", raw)
    if sys.byteorder == "little":
        column.byteswap()
    return column
