"""The table of a study's blobs: where each lies in the chunks, packed in columns.

Blobs have numbers that never change: a later version only appends. 100,000 of them take
4 MB here; as objects they would take 50.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from attrs import frozen

from p2pacs.errors import ManifestError
from p2pacs.limits import (
    BLOB_BYTES,
    DICTIONARY_BYTES,
    PLAIN_BYTES,
    PREVIEW_BYTES,
    STUDY_CHUNKS,
)
from p2pacs.study.codecs import RAW, ZSTD, ZSTD_WITH
from p2pacs.study.images import HTJ2K, HTJ2K_NEXT
from p2pacs.study.split import Kind

DIGEST_BYTES: Final = 16
"""SHA-256 of a decoded blob, cut to 128 bits: finds equal blobs. The whole instance has all 256."""

LEVELS: Final = 16
"""An image has at most 65,535 rows, so it can be halved 15 times; level 0 is all of it."""

_KINDS: Final = frozenset(Kind)
_NO_BASE: Final = 2**32 - 1


def key_of(digest: bytes, kind: int, codec: int, level: int) -> bytes:
    """What finds an equal blob: further parts and previews of a frame have the frame's digest."""
    return digest + bytes((len(_KINDS) + level if codec == HTJ2K_NEXT else kind,))


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
    """Bytes when decoded; 0 if it only goes on with the frame before it."""
    codec: int
    kind: Kind
    level: int = 0
    """What it completes: an image 2**level times smaller than the whole."""
    base: int | None = None
    """Number of the header that is its dictionary."""


@frozen
class BlobRun:
    """Blobs of one level that lie end to end in consecutive chunks, all full but the last."""

    chunk: int
    """Number of the first chunk."""
    plain_bytes: int
    """Plaintext of a full chunk."""
    blobs: int
    """How many blobs it has."""
    level: int = 0


@frozen
class ChunkSpan:
    """Chunks that hold something of one level."""

    level: int
    first: int
    last: int
    """Number of the last chunk."""


@frozen
class Columns:
    """Consecutive blobs as the columns of an index part (docs/formats.md)."""

    runs: tuple[BlobRun, ...]
    coded: bytes
    size: bytes
    codec: bytes
    kind: bytes
    digest: bytes
    base: bytes = b""

    def __len__(self) -> int:
        return len(self.codec)


class BlobTable:
    """All blobs of a study, by number."""

    def __init__(self) -> None:
        self.codec = bytearray()
        """Of every blob: to be read only."""
        self.kind = bytearray()
        """Of every blob: to be read only."""
        self._chunk = array("I")
        self._offset = array("H")
        self._coded = array("I")
        self._size = array("I")
        self._base = array("I")
        self._digest = bytearray()
        self._starts: list[int] = []
        self._runs: list[BlobRun] = []

    def __len__(self) -> int:
        return len(self.codec)

    def __getitem__(self, number: int) -> BlobRef:
        if not 0 <= number < len(self):
            raise ManifestError("the index names a blob that it does not have")
        base = self._base[number]
        return BlobRef(
            self._chunk[number],
            self._offset[number],
            self._coded[number],
            self._size[number],
            self.codec[number],
            Kind(self.kind[number]),
            self.level(number),
            None if base == _NO_BASE else base,
        )

    def level(self, number: int) -> int:
        """The level of a blob's run."""
        return self._runs[bisect_right(self._starts, number) - 1].level

    def digest(self, number: int) -> bytes:
        """Of a blob's content; further parts and previews have their frame's."""
        return bytes(self._digest[number * DIGEST_BYTES : (number + 1) * DIGEST_BYTES])

    def sizes(self, first: int, count: int) -> array[int]:
        """Bytes of these consecutive blobs when decoded."""
        return self._size[first : first + count]

    def keys(self) -> Iterator[bytes]:
        """What finds each blob (`key_of`), in order of their numbers."""
        number = 0
        for run in self._runs:
            for at in range(number, number + run.blobs):
                yield key_of(self.digest(at), self.kind[at], self.codec[at], run.level)
            number += run.blobs

    def spans(self, first: int, count: int) -> Iterator[ChunkSpan]:
        """The chunks of these consecutive blobs, run by run: blobs of a run lie end to end."""
        end = first + count
        if not 0 <= first < end <= len(self):
            raise ManifestError("the index names a blob that it does not have")
        place = bisect_right(self._starts, first) - 1
        while first < end:
            run = self._runs[place]
            last = min(end, self._starts[place] + run.blobs) - 1
            behind = self._offset[last] + self._coded[last] - 1
            chunk = self._chunk[last] + behind // run.plain_bytes
            yield ChunkSpan(run.level, self._chunk[first], chunk)
            first, place = last + 1, place + 1

    def bases(self, first: int, count: int) -> Iterator[int]:
        """Numbers of the headers that are dictionaries of these consecutive blobs."""
        at = self.codec.find(ZSTD_WITH, first, first + count)
        while at >= 0:
            yield self._base[at]
            at = self.codec.find(ZSTD_WITH, at + 1, first + count)

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
        _check_columns(columns, coded, size)
        base = self._bases(columns)
        chunk, offset = _places(columns.runs, coded)
        starts = accumulate((run.blobs for run in columns.runs), initial=len(self))
        self._starts += list(starts)[: len(columns.runs)]
        self._runs += columns.runs
        self._chunk += chunk
        self._offset += offset
        self._coded += coded
        self._size += size
        self._base += base
        self.codec += columns.codec
        self.kind += columns.kind
        self._digest += columns.digest

    def _bases(self, columns: Columns) -> array[int]:
        """The dictionary of every new blob: none has one itself, so there are no chains."""
        named = [at for at, codec in enumerate(columns.codec) if codec == ZSTD_WITH]
        if len(columns.base) != 4 * len(named):
            raise ManifestError("an index part names too many or too few dictionaries")
        base = array("I", [_NO_BASE]) * len(columns)
        for at, number in zip(named, _native(columns.base), strict=True):
            base[at] = number
            if number >= len(self) + at:
                raise ManifestError("a dictionary comes after the blob that needs it")
            size, codec, kind = (
                (self._size[number], self.codec[number], self.kind[number])
                if number < len(self)
                else _row(columns, number - len(self))
            )
            if kind != Kind.HEADER or codec not in (RAW, ZSTD) or size > DICTIONARY_BYTES:
                raise ManifestError("an index part names a dictionary that is none")
        return base

    def cut_back(self, count: int) -> None:
        """Take back what `extend` added when the table had so many blobs."""
        del self._digest[count * DIGEST_BYTES :]
        for column in (self._chunk, self._offset, self._coded, self._size, self._base):
            del column[count:]
        for codes in (self.codec, self.kind):
            del codes[count:]
        runs = bisect_right(self._starts, count - 1)
        del self._starts[runs:], self._runs[runs:]

    def copy(self) -> BlobTable:
        """A copy that grows apart."""
        other = BlobTable()
        for name, column in vars(self).items():
            setattr(other, name, column[:])
        return other


def _row(columns: Columns, at: int) -> tuple[int, int, int]:
    size = int.from_bytes(columns.size[4 * at : 4 * at + 4], "big")
    return size, columns.codec[at], columns.kind[at]


def _check_columns(columns: Columns, coded: array[int], size: array[int]) -> None:
    """Every value within its bounds, and lengths as their codecs and kinds allow."""
    if any(kind not in _KINDS for kind in set(columns.kind)):
        raise ManifestError("an index part has a blob of unknown kind: update p2pacs")
    if not columns:
        return
    if not min(coded) or max(coded) > BLOB_BYTES or max(size) > BLOB_BYTES:
        raise ManifestError(f"an index part has a blob of 0 or more than {BLOB_BYTES} bytes")
    if not set(columns.codec).isdisjoint((ZSTD_WITH, HTJ2K, HTJ2K_NEXT)):
        for kind, codec in set(zip(columns.kind, columns.codec, strict=True)):
            if _ONLY.get(codec, kind) != kind:
                raise ManifestError("an index part has a blob of a codec that is not for its kind")
    for at, codec in enumerate(columns.codec):
        if (codec == HTJ2K_NEXT) != (size[at] == 0):
            raise ManifestError("an index part has a blob of 0 bytes")
        if columns.kind[at] == Kind.PREVIEW and max(coded[at], size[at]) > PREVIEW_BYTES:
            raise ManifestError(f"an index part has a preview of more than {PREVIEW_BYTES} bytes")


_ONLY: Final = {ZSTD_WITH: Kind.HEADER, HTJ2K: Kind.FRAME, HTJ2K_NEXT: Kind.FRAME}
"""Kinds of blobs that these codecs are for."""


def _places(runs: tuple[BlobRun, ...], coded: array[int]) -> tuple[array[int], array[int]]:
    """First chunk and offset of every blob: blobs of a run lie end to end."""
    if sum(run.blobs for run in runs) != len(coded):
        raise ManifestError("the runs of an index part have not as many blobs as its columns")
    chunk, offset = array("I"), array("H")
    number = 0
    for run in runs:
        if not 0 < run.plain_bytes <= PLAIN_BYTES or not 0 <= run.level < LEVELS or not run.blobs:
            raise ManifestError("an index part has a run that cannot be")
        at = run.chunk * run.plain_bytes
        for length in coded[number : number + run.blobs]:
            chunk.append(min(at // run.plain_bytes, STUDY_CHUNKS))
            offset.append(at % run.plain_bytes)
            at += length
        number += run.blobs
        if at > STUDY_CHUNKS * run.plain_bytes:
            raise ManifestError(f"an index part has blobs beyond chunk {STUDY_CHUNKS}")
    return chunk, offset


def _native(raw: bytes) -> array[int]:
    """Numbers of four bytes, big-endian."""
    column = array("I", raw)
    if sys.byteorder == "little":
        column.byteswap()
    return column
