"""Sending on the paced line: offers it to one partner after the other, and sends what they choose.

One task offers and sends, others read ahead. The line always has a little promised work; more
would only make the choice worse (docs/swarm.md, "Offers").
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

import trio
from attrs import frozen

from p2pacs.concurrency.signals import Bell
from p2pacs.concurrency.tasks import Tasks
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.limits import CHUNK_BYTES, KIB, OFFERED_CHUNKS, PROMISED_BYTES
from p2pacs.line.pacer import Pacer
from p2pacs.mesh.connection import Connection
from p2pacs.swarm.scheduling.offers import Offers, OfferTarget
from p2pacs.swarm.scheduling.send_queue import PromisedChunk, SendQueue
from p2pacs.swarm.studies.open_swarms import OpenSwarms
from p2pacs.swarm.studies.partner import Partner
from p2pacs.swarm.studies.study_swarm import StudySwarm
from p2pacs.swarm.upload.sender import ReadHeld, Sent
from p2pacs.wire.messages.messages import Block, Offer


@frozen
class PacedSenderTuning:
    """How much of the line is offered, and how far ahead."""

    ahead_seconds: float = 0.6
    """The line has promised work for this long: an offer's round trip, and what stands before
    it."""
    ahead_chunks: float = 1.5
    """... and never less than this many chunks."""
    offer_seconds: float = 1.0
    """Work in one offer, one chunk at least ..."""
    careful_seconds: float = 0.2
    """... but this much, a chunk of a slow line, to a member that is at its beginning, and so
    begins to give, or near its end, where choosing late counts most (`StudySwarmTuning`)."""
    typical_chunk: float = 32.0 * KIB
    """What a chunk is taken for before one was sent; then the average ..."""
    chunks_averaged: int = 16
    """... of about so many: the last one of a run may be tiny."""


TUNING: Final = PacedSenderTuning()
"""What is used unless a test hands in another."""


RECORD_DATA: Final = 16 * KIB - 64
"""Data of a block that fits, with its frame, in one TLS record (RFC 8446 5.1: 16 KiB)."""

BLOCK_SECONDS: Final = 0.17
"""A block takes at most this long on a slow line, so that urgent things wait no longer ..."""

FAST_BLOCK_SECONDS: Final = 0.02
"""... and on a fast one it has this much, up to a whole chunk, so that it costs little work."""

LEAST_BLOCK: Final = 2 * KIB
"""However slow the line is."""


def block_bytes(rate: float) -> int:
    """Data of a block at most, on a line of so many bytes a second."""
    slow = max(LEAST_BLOCK, min(RECORD_DATA, int(rate * BLOCK_SECONDS)))
    return max(slow, min(CHUNK_BYTES, int(rate * FAST_BLOCK_SECONDS)))


def cut(size: int, most: int) -> int:
    """Data of each block of a chunk: as few blocks as can be, of equal size."""
    blocks = max(1, -(-size // most))
    return -(-size // blocks)


class _Fetching:
    """A partner that fetches a study."""

    __slots__ = ("gives", "member", "partner", "priority", "study", "swarm")

    def __init__(self, member: VirtualAddress, swarm: StudySwarm, partner: Partner) -> None:
        self.member = member
        self.study = swarm.study
        self.priority = swarm.priority(member)
        self.gives = swarm.download is not None and swarm.download.owes(member)
        self.swarm = swarm
        self.partner = partner


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
        origin_of_last_resort: Callable[[], bool],
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
            origin_of_last_resort: Whether to offer only what no other member has (the broker).
            tuning: How much is offered, and how far ahead.
        """
        self._tuning = tuning
        self._links = links
        self._swarms = swarms
        self._uplink = uplink
        self._read = read
        self._sent = sent
        self._last_resort = origin_of_last_resort
        self._offers = Offers(seed)
        self._queue = SendQueue()
        self._chunk_bytes = self._tuning.typical_chunk
        self._busy_until: dict[VirtualAddress, float] = {}
        self._bell = Bell()
        self._unwanted = True
        self._tasks = Tasks()

    # ------------------------------------------------------------ messages

    def ask(self, member: VirtualAddress, study: StudyId, numbers: Sequence[int]) -> Sequence[int]:
        """A member answers an offer; the numbers for which there was none."""
        allowed = self._offers.answered(member, study, len(numbers), trio.current_time())
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
        self._offers.drop(member, study)
        if study is None:
            self._busy_until.pop(member, None)
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
        if self._unwanted:
            self._offers.gained()
            self._bell.ring()

    def promised(self, member: VirtualAddress) -> int:
        """Bytes that a member was promised and that are not yet sent."""
        return int(sum(self._rest(chunk) for chunk in self._queue if chunk.member == member))

    # ------------------------------------------------------------ the task

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the line busy until cancelled."""
        async with self._tasks.open():
            task_status.started()
            await self._share_line()

    async def _share_line(self) -> None:
        while True:
            now = trio.current_time()
            self._offers.expire(now)
            self._make_offers(now)
            if self._queue.next(self._ready) is None:
                await self._wait(now)
                continue
            # The block is chosen after the budget is there: what has become urgent meanwhile goes
            # first, and a block is cut for the rate that is known then.
            await self._uplink.ready()
            if chunk := self._queue.next(self._ready):  # it may have changed meanwhile
                self._send(chunk)

    async def _wait(self, now: float) -> None:
        """Until something changes, or will without a sign."""
        times = [at for at in (self._offers.next_change(now), self._next_starved(now)) if at]
        times += [at for at in self._busy_until.values() if at > now]
        with trio.move_on_at(min(times, default=float("inf"))):
            await self._bell.wait()

    def _next_starved(self, now: float) -> float | None:
        """When a partner may get what others have, too, that may not now; None for never."""
        if not self._last_resort():
            return None
        partners = (one for swarm in self._swarms for one in swarm.partners.values())
        times = (
            one.moved_at + self._swarms.tuning.starved_seconds for one in partners if one.fetching
        )
        return min((at for at in times if at > now), default=None)

    def _ready(self, chunk: PromisedChunk) -> bool:
        return chunk.data is not None and self._can_take(chunk.member)

    def _can_take(self, member: VirtualAddress) -> bool:
        link = self._links.get(member)
        return link is not None and link.idle

    # ------------------------------------------------------------ offering

    def _make_offers(self, now: float) -> None:
        rate = self._uplink.rate
        ahead = max(
            rate * self._tuning.ahead_seconds, self._tuning.ahead_chunks * self._chunk_bytes
        )
        highest = self._highest()
        self._unwanted = False
        # Most often there is work enough: then nobody is looked at.
        while self._promised_bytes(now, highest) < ahead:
            target = self._offers.choose(self._fetching(now), now, self._target)
            if target is None or self._promised_bytes(now, target.priority) >= ahead:
                self._unwanted = True
                return
            chunks = min(self._chunks_for(target), target.useful)
            self._offers.made(target, chunks, now)
            swarm = self._swarms.of(target.study)
            hints = self._hints(swarm, target, chunks)
            swarm.send(target.member, Offer(bytes(target.study), chunks, hints))

    def _chunks_for(self, target: OfferTarget) -> int:
        """How many chunks to offer at once: `useful` ones have room (`_target`)."""
        seconds, study = self._tuning.offer_seconds, self._swarms.tuning
        if not study.early < target.completeness < study.late:
            seconds = self._tuning.careful_seconds
        return max(1, min(OFFERED_CHUNKS, int(self._uplink.rate * seconds / self._chunk_bytes)))

    def _highest(self) -> int:
        """The most urgent that anybody fetches."""
        partners = (one for swarm in self._swarms for one in swarm.partners.values())
        return max((one.priority for one in partners if one.fetching), default=0)

    def _promised_bytes(self, now: float, priority: int) -> float:
        """Work that the line has before anything of a class: none is what waits for members that
        take nothing.
        """
        chunks = (one for one in self._queue if one.priority >= priority)
        soon = sum(self._rest(one) for one in chunks if self._moves(one.member, now))
        return self._offers.chunks(priority, now=now) * self._chunk_bytes + soon

    def _moves(self, member: VirtualAddress, now: float) -> bool:
        """Whether a member takes what comes: its link is busy while the line sends a block."""
        return self._can_take(member) or now < self._busy_until.get(member, 0.0)

    def _rest(self, chunk: PromisedChunk) -> float:
        return self._chunk_bytes if chunk.data is None else len(chunk.data) - chunk.offset

    def _hints(self, swarm: StudySwarm, target: OfferTarget, chunks: int) -> list[int]:
        if self._last_resort():
            alone = swarm.only_here(self._coming(swarm.study))
            return list(islice(alone, max(swarm.tuning.hints, chunks)))
        return swarm.hints(target.member)

    def _fetching(self, now: float) -> Iterator[_Fetching]:
        """The partners that fetch something and take what comes."""
        stuck = {one.member for one in self._queue if not self._moves(one.member, now)}
        for swarm in self._swarms:
            for member, partner in swarm.partners.items():
                if partner.fetching and member not in stuck:
                    link = self._links.get(member)
                    if link is not None and link.paced:
                        yield _Fetching(member, swarm, partner)

    def _target(self, one: _Fetching) -> OfferTarget:
        swarm, member, partner = one.swarm, one.member, one.partner
        on_its_way = sum(p.member == member and p.study == swarm.study for p in self._queue)
        room = int((PROMISED_BYTES - self.promised(member)) / self._chunk_bytes)
        useful = min(swarm.useful(partner) - on_its_way, room)
        if (
            self._last_resort()
            and trio.current_time() < partner.moved_at + swarm.tuning.starved_seconds
        ):
            useful = min(useful, len(swarm.only_here(self._coming(swarm.study))))
        complete = swarm.completeness(member, on_its_way)
        return OfferTarget(member, swarm.study, one.priority, complete, useful, one.gives)

    def _coming(self, study: StudyId) -> list[int]:
        return [chunk.number for chunk in self._queue if chunk.study == study]

    # ------------------------------------------------------------ sending

    async def _load(self, chunks: Sequence[PromisedChunk]) -> None:
        """Read promised chunks before it is their turn; what cannot be read is refused."""
        first = chunks[0]
        found = dict(await self._read(first.member, first.study, [one.number for one in chunks]))
        for chunk in chunks:
            chunk.data = found.get(chunk.number)
            if chunk.data is None:
                self._queue.remove(chunk)
            else:
                self._chunk_bytes += (
                    len(chunk.data) - self._chunk_bytes
                ) / self._tuning.chunks_averaged
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
        self._busy_until[chunk.member] = trio.current_time() + seconds
        self._sent(chunk.member, end - begin)
        if end == len(data):
            self._queue.remove(chunk)
            if swarm := self._swarms.get(chunk.study):
                swarm.partner_gained(chunk.member, [chunk.number])
