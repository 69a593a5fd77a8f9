"""What the engine needs of a store: satisfied by p2pacs/store and by `scripts.memory_store`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from p2pacs.bitfield import Bitfield
from p2pacs.ids import ChunkId, StudyId


class StudyChunks(Protocol):
    """The chunks, segments and newest root of one study."""

    @property
    def have(self) -> Bitfield:
        """Numbers that can be read at once."""

    @property
    def root(self) -> bytes | None:
        """The newest root that was put."""

    @property
    def dropped(self) -> bool:
        """Whether the study was removed from the store: this object is of no more use."""

    def size(self, number: int) -> int:
        """Bytes of a chunk that is here; 0 of another."""

    async def put(self, number: int, chunk_id: ChunkId, data: bytes) -> None:
        """Keep a verified chunk; waits while too much is unwritten.

        Raises:
            DiskFullError: no room; what was stored is unharmed.
            StateError: the study was dropped.
        """

    async def read_many(self, numbers: Sequence[int], *, verify: bool = False) -> list[bytes]:
        """Several chunks at once, in the order asked.

        Raises:
            NotFoundError: one of them is not here.
            CorruptStoreError: one of them does not verify any more; it is no longer held.
        """

    async def flush(self) -> None:
        """Until all that was put survives a power cut."""

    async def put_root(
        self, raw: bytes, *, version: int = 0, segments: Collection[ChunkId] | None = None
    ) -> None:
        """Keep a verified root as the newest; forget segments that it does not name."""

    async def segment(self, chunk_id: ChunkId) -> bytes | None:
        """A segment of the chunk list, if held."""

    async def put_segment(self, chunk_id: ChunkId, data: bytes) -> None:
        """Keep a verified segment."""

    def touch(self) -> None:
        """The study is in use now."""


class ChunkStorage(Protocol):
    """All studies of one host."""

    def holds(self, study: StudyId) -> bool:
        """Whether anything of this study is here."""

    async def study(self, study: StudyId) -> StudyChunks:
        """Open a study, or begin one."""
