"""Blobs of the next version as they come: laid end to end, a run for each level, and sealed.

Chunks are small where a study begins and in its coarse levels: who has nothing yet has something to
pass on sooner, and a chunk of previews holds few neighbours. They are small where it ends, too: the
last one is here when somebody has passed it on.

Which number a blob gets is known only when the runs are closed. Until then it has a
*place*, which is below 0; a number is a place too.
"""

from __future__ import annotations

import struct
from typing import Final

from attrs import define, field, frozen

from p2pacs.identity.keys import StudyKey
from p2pacs.ids import ChunkId
from p2pacs.limits import SEAL_BYTES
from p2pacs.study.blobs import LEVELS, BlobRun, Columns
from p2pacs.study.coding import CodedBlob
from p2pacs.study.seal import seal
from p2pacs.study.split import Kind

SMALL_BYTES: Final = 8 * 1024 - SEAL_BYTES
"""Plaintext of a small chunk: an eighth of a second less until whoever begins has something to
give. Four, eight and sixteen members that begin together take 0.4 to 0.7 % less time
(`scripts/bench sim --headers`); with 12 KiB four gain nothing, with 4 KiB eight half of it."""

COARSE: Final = 2
"""From this level on chunks are small: images of a quarter of the size, or less."""

BEGINNING_BYTES: Final = 384 * 1024
"""So much of a study comes in small chunks; what lies in their run is whole blobs ..."""

BEGINNING_BLOB: Final = 1024 * 1024
"""... and none that is larger than this."""

HEADER_BLOB: Final = 64 * 1024
"""Coded bytes of a header that lies with the others, away from the pixels. Metadata are made of all
headers of a series and of nothing else: between the frames each of them cost a chunk of pixels, a
third of a CT of 300 images before the first one was shown."""

END_BLOB: Final = 256 * 1024
"""Coded bytes of the last blob, at most, if it is to come in small chunks. Of a study that a
hospital sends its line gives each chunk once; of two who receive it one has the last chunk after
the other has passed it on, which took 0.4 s of a line of 800 kbit/s."""

_BEGINNING: Final = LEVELS
"""The slot of the run that a study begins with; the slot of any other is its level."""

_HEADERS: Final = LEVELS + 1
"""The slot of the run of headers."""

_SLOTS: Final = LEVELS + 2

_NUMBER: Final = struct.Struct(">I")


@define(eq=False)
class _OpenRun:
    """An open run."""

    level: int
    plain_bytes: int
    """Plaintext of a full chunk."""
    open: bytearray = field(factory=bytearray)
    """The last blob, and what before it does not fill a chunk."""
    last_bytes: int = 0
    """Coded bytes of the last blob."""
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
    """Number of the first blob of each slot."""

    def number(self, place: int) -> int:
        """The number of the blob that has this place."""
        return _number(place, self.starts)


def _number(place: int, starts: dict[int, int]) -> int:
    if place >= 0:
        return place
    at, slot = divmod(-1 - place, _SLOTS)
    return starts[slot] + at


class OpenRuns:
    """A run for each level that has blobs, one for headers, one for what a study begins with."""

    def __init__(self, key: StudyKey, plain_bytes: int, *, begins: bool) -> None:
        """Runs without blobs.

        Args:
            key: of the study.
            plain_bytes: plaintext of a full chunk.
            begins: whether the study has nothing yet.
        """
        self._key = key
        self._plain_bytes = plain_bytes
        self._small_bytes = min(plain_bytes, SMALL_BYTES)
        self._runs: dict[int, _OpenRun] = {}
        self._beginning = BEGINNING_BYTES if begins else 0
        self.pending_bytes = 0
        """Bytes of plaintext laid, all in memory."""

    def chunks_with(self, blobs: int, coded_bytes: int) -> int:
        """How many chunks there are at most with so many blobs more."""
        laid = sum(
            len(run.sealed) + len(run.open) // self._small_bytes + 2 for run in self._runs.values()
        )
        return laid + blobs + coded_bytes // self._small_bytes

    def add(self, blob: CodedBlob, base: int | None = None) -> int:
        """Lay a blob behind the others of its level; its place.

        Args:
            blob: the coded blob.
            base: place of the header that is its dictionary, if it has one.
        """
        slot = self._slot(blob)
        run = self._runs.get(slot)
        if run is None:
            is_small = slot >= COARSE
            run = _OpenRun(blob.level, self._small_bytes if is_small else self._plain_bytes)
            self._runs[slot] = run
        if blob.size and not blob.coded:
            raise ValueError("a blob without its bytes that was not laid before")
        run.keys.append(blob.key)
        run.coded += _NUMBER.pack(len(blob.coded))
        run.size += _NUMBER.pack(blob.size)
        run.codec.append(blob.codec)
        run.kind.append(blob.kind)
        run.digest += blob.digest
        if base is not None:
            run.bases.append(base)
        self._seal(run, len(run.open) // run.plain_bytes * run.plain_bytes)
        run.open += blob.coded
        run.last_bytes = len(blob.coded)
        self.pending_bytes += run.last_bytes
        return -1 - ((len(run.keys) - 1) * _SLOTS + slot)

    def _slot(self, blob: CodedBlob) -> int:
        """The run of a blob."""
        if blob.kind == Kind.HEADER and len(blob.coded) <= HEADER_BLOB:
            return _HEADERS
        if blob.level or self._beginning <= 0:
            return blob.level
        if len(blob.coded) > BEGINNING_BLOB:
            self._beginning = 0
            return blob.level
        self._beginning -= len(blob.coded)
        return _BEGINNING

    def _seal(self, run: _OpenRun, length: int, plain_bytes: int = 0) -> None:
        size = plain_bytes or run.plain_bytes
        for at in range(0, length, size):
            data = seal(self._key, bytes(run.open[at : min(at + size, length)]))
            run.sealed.append((ChunkId.of(data), data))
        del run.open[:length]

    def _seal_end(self, run: _OpenRun, first_chunk: int) -> list[BlobRun]:
        """Seal the last blob of all in small chunks: it becomes a run of its own."""
        before, blobs = len(run.open) - run.last_bytes, len(run.keys) - 1
        self._seal(run, before)
        last = BlobRun(first_chunk + len(run.sealed), self._small_bytes, 1, run.level)
        self._seal(run, run.last_bytes, self._small_bytes)
        return [*([BlobRun(first_chunk, run.plain_bytes, blobs, run.level)] if blobs else []), last]

    def close(self, first_blob: int, first_chunk: int, *, ends: bool = False) -> Closed:
        """Number what was laid, and begin anew: coarse levels, headers, the beginning, the rest.

        Args:
            first_blob: number of the first blob.
            first_chunk: number of the first chunk.
            ends: whether the study ends with it, as far as that is known.
        """
        laid = sorted(self._runs.items(), key=lambda item: (-item[1].level, -item[0]))
        self._runs, self.pending_bytes, self._beginning = {}, 0, 0
        starts: dict[int, int] = {}
        closed: list[BlobRun] = []
        for slot, run in laid:
            starts[slot] = first_blob
            if ends and run is laid[-1][1] and run.last_bytes <= END_BLOB:
                closed += self._seal_end(run, first_chunk)
            else:
                self._seal(run, len(run.open))
                closed.append(BlobRun(first_chunk, run.plain_bytes, len(run.keys), run.level))
            first_blob += len(run.keys)
            first_chunk += len(run.sealed)
        return Closed(
            columns=_columns(closed, [run for _, run in laid], starts),
            chunks=tuple(one for _, run in laid for one in run.sealed),
            keys=tuple(key for _, run in laid for key in run.keys),
            starts=starts,
        )


def _columns(closed: list[BlobRun], runs: list[_OpenRun], starts: dict[int, int]) -> Columns:
    bases = (_number(place, starts) for run in runs for place in run.bases)
    return Columns(
        runs=tuple(closed),
        coded=b"".join(run.coded for run in runs),
        size=b"".join(run.size for run in runs),
        codec=b"".join(run.codec for run in runs),
        kind=b"".join(run.kind for run in runs),
        digest=b"".join(run.digest for run in runs),
        base=b"".join(map(_NUMBER.pack, bases)),
    )
