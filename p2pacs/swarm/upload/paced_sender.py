"""Sending on the paced line: offers it to one partner after the other, and sends what they choose.

One task offers and sends, others read ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import trio

from p2pacs.concurrency.signals import Bell
from p2pacs.concurrency.tasks import Tasks
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.line.pacer import Pacer
from p2pacs.mesh.connection import Connection
from p2pacs.swarm.scheduling.send_queue import PromisedChunk
from p2pacs.swarm.studies.open_swarms import OpenSwarms
from p2pacs.swarm.studies.study_swarm import StudySwarm
from p2pacs.swarm.upload.block_size import block_bytes, cut
from p2pacs.swarm.upload.line_offers import TUNING, LineOffers, PacedSenderTuning
from p2pacs.swarm.upload.promised_work import PromisedWork
from p2pacs.swarm.upload.sender import ReadHeld, Sent
from p2pacs.wire.messages.messages import Block


class PacedSender:
    """The task that keeps a paced line busy (`ChunkSender`)."""

    def __init__(
        self,
        links: Mapping[VirtualAddress, Connection],
        swarms: OpenSwarms,
        uplink: Pacer,
        read: ReadHeld,
        sent: Sent,
        *,
        seed: bytes,
        is_origin: Callable[[StudySwarm], bool],
        is_broker: Callable[[VirtualAddress], bool] = lambda _: False,
        tuning: PacedSenderTuning = TUNING,
    ) -> None:
        """Nothing is sent before `run`.

        Args:
            links: The open links.
            swarms: What is here of each study, and who takes part.
            uplink: The line's budget.
            read: Gives chunks, or refuses them.
            sent: Is told what went to whom.
            seed: What makes the choices of this host its own.
            is_origin: Whether to offer of a study only what no other member has.
            is_broker: Whether a study that is sent goes home by way of this member.
            tuning: How much is offered, and how far ahead.
        """
        self._links = links
        self._swarms = swarms
        self._uplink = uplink
        self._read = read
        self._sent = sent
        self._work = PromisedWork(
            links, typical_chunk=tuning.typical_chunk, averaged=tuning.chunks_averaged
        )
        self._queue = self._work.queue
        self._offers = LineOffers(
            links,
            swarms,
            uplink,
            self._work,
            seed=seed,
            is_origin=is_origin,
            is_broker=is_broker,
            tuning=tuning,
        )
        self._bell = Bell()
        self._tasks = Tasks()

    # ------------------------------------------------------------ messages

    def ask(self, member: VirtualAddress, study: StudyId, numbers: Sequence[int]) -> Sequence[int]:
        """A member answers an offer; the numbers for which there was none."""
        allowed = self._offers.open.answered(member, study, len(numbers), trio.current_time())
        swarm = self._swarms.get(study)
        priority = swarm.priority(member) if swarm else 0
        fresh = self._queue.add(member, study, numbers[:allowed], priority)
        if swarm is not None:
            swarm.given(member, numbers[:allowed])
        if fresh:
            self._tasks.start(self._load, fresh)  # it rings when they are here
        else:
            self._bell.ring()
        return numbers[allowed:]

    def cancel(self, member: VirtualAddress, study: StudyId, numbers: Collection[int]) -> None:
        """A member no longer needs these."""
        self._queue.take_out(
            lambda one: one.member == member and one.study == study and one.number in numbers
        )
        self._bell.ring()

    def drop(self, member: VirtualAddress, study: StudyId | None = None) -> None:
        """A member is gone, or wants nothing more of a study."""
        self._offers.open.drop(member, study)
        if study is None:
            self._work.busy_until.pop(member, None)
        self._queue.take_out(
            lambda one: one.member == member and (study is None or one.study == study)
        )
        self._bell.ring()

    def changed(self) -> None:
        """Somebody wants something."""
        self._bell.ring()

    def drained(self, member: VirtualAddress) -> None:
        """A member can take a block: that is news only if there is one."""
        if any(chunk.member == member for chunk in self._queue):
            self._bell.ring()

    def gained(self) -> None:
        """There is more to give: that is news only to a line that nobody wanted anything of."""
        if self._offers.unwanted:
            self._offers.open.gained()
            self._bell.ring()

    def promised(self, member: VirtualAddress) -> int:
        """Bytes that a member was promised and that are not yet sent."""
        return self._work.promised(member)

    # ------------------------------------------------------------ the task

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the line busy until cancelled."""
        async with self._tasks.open():
            task_status.started()
            await self._share_line()

    async def _share_line(self) -> None:
        while True:
            now = trio.current_time()
            self._offers.open.expire(now)
            self._offers.make(now)
            if self._queue.next(self._work.ready) is None:
                await self._wait(now)
                continue
            # The block is chosen after the budget is there: what has become urgent meanwhile goes
            # first, and a block is cut for the rate that is known then.
            await self._uplink.ready()
            if chunk := self._queue.next(self._work.ready):  # it may have changed meanwhile
                self._send(chunk)

    async def _wait(self, now: float) -> None:
        """Until something changes, or will without a sign."""
        times = [at for at in self._work.busy_until.values() if at > now]
        if change := self._offers.next_change(now):
            times.append(change)
        with trio.move_on_at(min(times, default=float("inf"))):
            await self._bell.wait()

    # ------------------------------------------------------------ sending

    async def _load(self, chunks: Sequence[PromisedChunk]) -> None:
        """Read promised chunks before it is their turn; what cannot be read is refused."""
        first = chunks[0]
        found = dict(await self._read(first.member, first.study, [one.number for one in chunks]))
        for chunk in chunks:
            self._work.read(chunk, found.get(chunk.number))
        self._bell.ring()

    def _send(self, chunk: PromisedChunk) -> None:
        """The next block of a chunk."""
        data = chunk.data or b""  # it is ready
        begin = chunk.offset
        end = min(len(data), begin + cut(len(data), block_bytes(self._uplink.rate)))
        chunk.offset = end
        block = Block(bytes(chunk.study), chunk.number, begin, len(data), data[begin:end])
        self._links[chunk.member].send_block(block)
        seconds = len(block.data) / max(self._uplink.rate, 1.0)
        self._work.busy_until[chunk.member] = trio.current_time() + seconds
        self._sent(chunk.member, end - begin)
        if end == len(data):
            self._queue.remove(chunk)
            if swarm := self._swarms.get(chunk.study):
                swarm.partner_gained(chunk.member, [chunk.number])
