"""A store in memory: for simulations in virtual time, where threads have no place."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import trio

from p2pacs.bitfield import Bitfield
from p2pacs.errors import DiskFullError, NotFoundError
from p2pacs.ids import ChunkId, StudyId


class MemoryStudy:
    """One study's chunks in a dictionary; satisfies `p2pacs.swarm.studies.chunks.StudyChunks`."""

    def __init__(self, capacity: int | None = None) -> None:
        self.have = Bitfield()
        self.root: bytes | None = None
        self.capacity = capacity
        """Bytes that fit; None for no limit."""
        self.used = 0
        self.dropped = False
        self._data: dict[int, bytes] = {}
        self._segments: dict[ChunkId, bytes] = {}

    def size(self, number: int) -> int:
        """Bytes of a chunk that is here; 0 of another."""
        return len(self._data.get(number, b""))

    async def put(self, number: int, chunk_id: ChunkId, data: bytes) -> None:
        """Keep a verified chunk."""
        await trio.lowlevel.checkpoint_if_cancelled()  # there is nothing to wait for
        if self.capacity is not None and self.used + len(data) > self.capacity:
            raise DiskFullError("no room for more chunks: free space or raise the capacity")
        self.used += len(data)
        self._data[number] = data
        self.have.add(number)

    async def read_many(self, numbers: Sequence[int], *, verify: bool = False) -> list[bytes]:
        """Several chunks."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if any(number not in self._data for number in numbers):
            raise NotFoundError("a chunk is not held here")
        return [self._data[number] for number in numbers]

    async def flush(self) -> None:
        """Memory has nothing to flush."""
        await trio.lowlevel.checkpoint()

    async def put_root(
        self, raw: bytes, *, version: int = 0, segments: Collection[ChunkId] | None = None
    ) -> None:
        """Keep the newest root."""
        await trio.lowlevel.checkpoint()
        self.root = raw

    async def segment(self, chunk_id: ChunkId) -> bytes | None:
        """A segment, if held."""
        return self._segments.get(chunk_id)

    async def put_segment(self, chunk_id: ChunkId, data: bytes) -> None:
        """Keep a segment."""
        await trio.lowlevel.checkpoint()
        self._segments[chunk_id] = data

    def touch(self) -> None:
        """Nothing is recycled here."""


class MemoryStore:
    """Studies in memory; satisfies `p2pacs.swarm.studies.chunks.ChunkStorage`."""

    def __init__(self, capacity: int | None = None) -> None:
        self._studies: dict[StudyId, MemoryStudy] = {}
        self._capacity = capacity

    def holds(self, study: StudyId) -> bool:
        """Whether the study was opened."""
        return study in self._studies

    async def study(self, study: StudyId) -> MemoryStudy:
        """Open a study, or begin one."""
        await trio.lowlevel.checkpoint()
        return self._studies.setdefault(study, MemoryStudy(self._capacity))

    async def drop(self, study: StudyId) -> None:
        """Forget a study."""
        await trio.lowlevel.checkpoint()
        if found := self._studies.pop(study, None):
            found.dropped = True
