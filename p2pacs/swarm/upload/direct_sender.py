"""Sending on links that are not paced: side by side, each as fast as it reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import trio

from p2pacs.concurrency.tasks import Tasks
from p2pacs.errors import LinkClosedError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.mesh.connection import Connection
from p2pacs.swarm.scheduling.request_queue import RequestQueue
from p2pacs.swarm.upload.sender import ReadHeld, Sent
from p2pacs.wire.messages.messages import Block

BATCH_CHUNKS: Final = 8
"""Chunks that are read from the disk in one thread hop, and sent at once."""

READ_AHEAD_BATCHES: Final = 1
"""Batches that wait while another is sent: the disk and the line work at the same time."""


class DirectSender:
    """A queue for each member, and a task that sends while it is not empty (`ChunkSender`)."""

    def __init__(
        self, links: Mapping[VirtualAddress, Connection], read: ReadHeld, sent: Sent
    ) -> None:
        """Nothing is sent before `run`.

        Args:
            links: The open links.
            read: Gives chunks, or refuses them.
            sent: Is told what went to whom.
        """
        self._links = links
        self._read = read
        self._sent = sent
        self._queue = RequestQueue()
        self._busy: set[VirtualAddress] = set()
        self._tasks = Tasks()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Send until cancelled."""
        await self._tasks.run(task_status=task_status)

    def ask(self, member: VirtualAddress, study: StudyId, numbers: Sequence[int]) -> list[int]:
        """A member asks for chunks; the numbers that its limit has no room for."""
        refused = self._queue.ask(member, study, numbers)
        self._wake(member)
        return refused

    def cancel(self, member: VirtualAddress, study: StudyId, numbers: Collection[int]) -> None:
        """A member no longer needs these."""
        self._queue.cancel(member, study, numbers)

    def drop(self, member: VirtualAddress, study: StudyId | None = None) -> None:
        """A member is gone, or wants nothing more of a study."""
        self._queue.drop(member, study)

    def promised(self, member: VirtualAddress) -> int:
        """None: what is asked for leaves as fast as it is read, and nothing waits for a line."""
        return 0

    def changed(self) -> None:
        """Nothing: whoever wants something asks for it."""

    def gained(self) -> None:
        """Nothing: partners are told, and ask."""

    def drained(self, member: VirtualAddress) -> None:
        """Nothing: each member's task waits for its link."""

    def _wake(self, member: VirtualAddress) -> None:
        link = self._links.get(member)
        if self._tasks.running and link is not None and member not in self._busy:
            self._busy.add(member)
            self._tasks.start(self._serve, member, link)

    async def _serve(self, member: VirtualAddress, link: Connection) -> None:
        try:
            await self._pump(member, link)
        except* LinkClosedError:
            pass  # the mesh tells when the member is gone
        finally:
            self._busy.discard(member)
            if self._queue.next(member) is not None:  # asked for while the last was sent
                self._wake(member)

    async def _pump(self, member: VirtualAddress, link: Connection) -> None:
        """All that a member asked for; what follows is read meanwhile."""
        ahead, batches = trio.open_memory_channel[list[Block]](READ_AHEAD_BATCHES)
        async with trio.open_nursery() as nursery, batches:
            nursery.start_soon(self._read_ahead, member, ahead)
            async for batch in batches:
                await link.send_blocks(*batch)
                self._sent(member, sum(block.size for block in batch))

    async def _read_ahead(
        self, member: VirtualAddress, ahead: trio.MemorySendChannel[list[Block]]
    ) -> None:
        """Read what a member asked for, batch after batch, until it is all on its way."""
        async with ahead:
            while taken := self._queue.take(member, BATCH_CHUNKS):
                study, numbers = taken
                found = await self._read(member, study, numbers)
                batch = [Block(bytes(study), number, 0, len(data), data) for number, data in found]
                if batch:
                    await ahead.send(batch)
