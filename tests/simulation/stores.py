"""What hundreds of members in one process share: chunks and directories, each held once."""

from __future__ import annotations

from pathlib import Path

import trio

from p2pacs.identity.book import DirectoryBook
from p2pacs.identity.directory import Directory, load_directory
from p2pacs.identity.keys import VerifyKey
from p2pacs.ids import ChunkId, StudyId
from scripts.memory_store import MemoryStore, MemoryStudy


class SharedStudy(MemoryStudy):
    """A study whose chunks are those of all others in the world."""

    def __init__(self, capacity: int | None, chunks: dict[ChunkId, bytes]) -> None:
        super().__init__(capacity)
        self._chunks = chunks

    async def put(self, number: int, chunk_id: ChunkId, data: bytes) -> None:
        """Keep a verified chunk."""
        await super().put(number, chunk_id, self._chunks.setdefault(chunk_id, data))


class SharedStore(MemoryStore):
    """A member's studies."""

    def __init__(self, chunks: dict[ChunkId, bytes], capacity: int | None = None) -> None:
        super().__init__(capacity)
        self._chunks = chunks

    async def study(self, study: StudyId) -> MemoryStudy:
        """Open a study, or begin one."""
        await trio.lowlevel.checkpoint()
        if study not in self._studies:
            self._studies[study] = SharedStudy(self._capacity, self._chunks)
        return self._studies[study]


class SharedBook(DirectoryBook):
    """A member's directory: not on disk, and read once for all."""

    def __init__(self, path: Path, key: VerifyKey, read: dict[bytes, Directory]) -> None:
        super().__init__(path, key)
        self._read = read

    def update(self, raw: bytes) -> bool:
        """Go by these signed bytes if they are newer than what is held; whether they were."""
        new = self._read.get(raw)
        if new is None:
            new = self._read[raw] = load_directory(raw, self.keys)
        if new.version <= self.directory.version:
            return False
        self.raw = raw
        self._go_by(new)
        for listener in tuple(self._listeners):
            listener(new)
        return True
