"""Blobs of the next version as they come: laid end to end, a run for each level, and sealed.

Which number a blob gets is known only when the runs are closed. Until then it has a
*place*, which is below 0; a number is a place too.
"""

from __future__ import annotations

import struct
from typing import Final

from attrs import define, field, frozen

from p2pacs.identity.keys import StudyKey
from p2pacs.ids import ChunkId
from p2pacs.study.blobs import LEVELS, Columns, Run
from p2pacs.study.coding import CodedBlob
from p2pacs.study.seal import seal

_NUMBER: Final = struct.Struct(">I")


@define(eq=False)
class _Level:
    """An open run."""

    open: bytearray = field(factory=bytearray)
    """What does not fill a chunk yet."""
    sealed: list[tuple[ChunkId, bytes]] = field(factory=list)
    keys: list[bytes] = field(factory=list)
    coded: bytearray = field(factory=bytearray)
    size: bytearray = field(factory=bytearray)
    codec: bytearray = field(factory=bytearray)
    kind: bytearray = field(factory=bytearray)
    digest: bytearray = field(factory=bytearray)
    bases: list[int] = field(factory=list)
    """Places."""


@frozen
class Closed:
    """Runs that are closed: the columns and chunks that they add to a study."""

    columns: Columns
    chunks: tuple[tuple[ChunkId, bytes], ...]
    """In order of their numbers."""
    keys: tuple[bytes, ...]
    """What finds each blob (`key_of`), in order of their numbers."""
    starts: dict[int, int]
    """Number of the first blob of each level."""

    def number(self, place: int) -> int:
        """The number of the blob that has this place."""
        return _number(place, self.starts)


def _number(place: int, starts: dict[int, int]) -> int:
    if place >= 0:
        return place
    at, level = divmod(-1 - place, LEVELS)
    return starts[level] + at


class OpenRuns:
    """One run for each level that has blobs."""

    def __init__(self, key: StudyKey, plain_bytes: int) -> None:
        """Runs without blobs.

        Args:
            key: of the study.
            plain_bytes: plaintext of a full chunk.
        """
        self._key = key
        self._plain_bytes = plain_bytes
        self._levels: dict[int, _Level] = {}
        self.pending_bytes = 0
        """Bytes of plaintext laid, all in memory."""

    def add(self, blob: CodedBlob, base: int | None = None) -> int:
        """Lay a blob behind the others of its level; its place.

        Args:
            blob: the coded blob.
            base: place of the header that is its dictionary, if it has one.
        """
        level = self._levels.setdefault(blob.level, _Level())
        level.keys.append(blob.key)
        level.coded += _NUMBER.pack(len(blob.coded))
        level.size += _NUMBER.pack(blob.size)
        level.codec.append(blob.codec)
        level.kind.append(blob.kind)
        level.digest += blob.digest
        if base is not None:
            level.bases.append(base)
        level.open += blob.coded
        self.pending_bytes += len(blob.coded)
        whole = len(level.open) // self._plain_bytes * self._plain_bytes
        self._seal(level, whole)
        return -1 - ((len(level.keys) - 1) * LEVELS + blob.level)

    def _seal(self, level: _Level, length: int) -> None:
        for at in range(0, length, self._plain_bytes):
            data = seal(self._key, bytes(level.open[at : min(at + self._plain_bytes, length)]))
            level.sealed.append((ChunkId.of(data), data))
        del level.open[:length]

    def close(self, first_blob: int, first_chunk: int) -> Closed:
        """Number what was laid, coarse levels first, and begin anew.

        Args:
            first_blob: number of the first blob.
            first_chunk: number of the first chunk.
        """
        levels = sorted(self._levels.items(), reverse=True)
        self._levels, self.pending_bytes = {}, 0
        starts: dict[int, int] = {}
        runs: list[Run] = []
        for number, level in levels:
            self._seal(level, len(level.open))
            starts[number] = first_blob
            runs.append(Run(first_chunk, self._plain_bytes, len(level.keys), number))
            first_blob += len(level.keys)
            first_chunk += len(level.sealed)
        return Closed(
            columns=_columns(runs, [level for _, level in levels], starts),
            chunks=tuple(one for _, level in levels for one in level.sealed),
            keys=tuple(key for _, level in levels for key in level.keys),
            starts=starts,
        )


def _columns(runs: list[Run], levels: list[_Level], starts: dict[int, int]) -> Columns:
    bases = (_number(place, starts) for level in levels for place in level.bases)
    return Columns(
        runs=tuple(runs),
        coded=b"".join(level.coded for level in levels),
        size=b"".join(level.size for level in levels),
        codec=b"".join(level.codec for level in levels),
        kind=b"".join(level.kind for level in levels),
        digest=b"".join(level.digest for level in levels),
        base=b"".join(map(_NUMBER.pack, bases)),
    )
