"""Work that the paced line has promised, and what of it may leave now. No I/O."""

from __future__ import annotations

from collections.abc import Mapping

from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.mesh.connection import Connection
from p2pacs.swarm.scheduling.send_queue import PromisedChunk, SendQueue


class PromisedWork:
    """Promised chunks, the links on which they go, and what a chunk is taken for."""

    def __init__(
        self, links: Mapping[VirtualAddress, Connection], *, typical_chunk: float, averaged: int
    ) -> None:
        """Nothing is promised.

        Args:
            links: The open links.
            typical_chunk: Bytes that a chunk is taken for before one was read; then the average ...
            averaged: ... of about so many.
        """
        self.queue = SendQueue()
        self.chunk_bytes = typical_chunk
        self.busy_until: dict[VirtualAddress, float] = {}
        """Until when the line sends the last block to each member."""
        self._averaged = averaged
        self._links = links

    def read(self, chunk: PromisedChunk, data: bytes | None) -> None:
        """A chunk was read; None if it cannot be, and so does not go."""
        chunk.data = data
        if data is None:
            self.queue.remove(chunk)
        else:
            self.chunk_bytes += (len(data) - self.chunk_bytes) / self._averaged

    def ready(self, chunk: PromisedChunk) -> bool:
        """Whether a block of this chunk would leave at once."""
        return chunk.data is not None and self._can_take(chunk.member)

    def moves(self, member: VirtualAddress, now: float) -> bool:
        """Whether a member takes what comes: its link is busy while the line sends a block."""
        return self._can_take(member) or now < self.busy_until.get(member, 0.0)

    def _can_take(self, member: VirtualAddress) -> bool:
        link = self._links.get(member)
        return link is not None and link.idle

    def promised(self, member: VirtualAddress) -> int:
        """Bytes that a member was promised and that are not yet sent."""
        return int(sum(self._rest(chunk) for chunk in self.queue if chunk.member == member))

    def soon(self, now: float, priority: int) -> float:
        """Bytes that leave before anything of a class: none of what waits for members that take
        nothing."""
        chunks = (one for one in self.queue if one.priority >= priority)
        return sum(self._rest(one) for one in chunks if self.moves(one.member, now))

    def coming(self, study: StudyId) -> list[int]:
        """Chunks of a study that were promised to anybody."""
        return [chunk.number for chunk in self.queue if chunk.study == study]

    def _rest(self, chunk: PromisedChunk) -> float:
        return self.chunk_bytes if chunk.data is None else len(chunk.data) - chunk.offset
