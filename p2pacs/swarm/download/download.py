"""Fetching one study: asks every source for many chunks, verifies, stores, asks again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

import structlog
import trio
from attrs import frozen

from p2pacs.concurrency.groups import first_error
from p2pacs.concurrency.signals import Bell
from p2pacs.errors import (
    ChunkMismatchError,
    NoSourceError,
    P2PacsError,
    ProtocolError,
)
from p2pacs.identity.keys import Verifier
from p2pacs.ids import ChunkId, VirtualAddress
from p2pacs.limits import BLOCK_LEAST
from p2pacs.mesh.mesh import Mesh
from p2pacs.swarm.download.manifest_sync import ManifestSync
from p2pacs.swarm.download.neighbour_links import NeighbourLinks
from p2pacs.swarm.download.patience import TUNING, DownloadTuning
from p2pacs.swarm.download.sources import Sources
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.swarm.scheduling.availability import Availability
from p2pacs.swarm.scheduling.source import Source, Tier
from p2pacs.swarm.studies.chunks import ChunkStorage, StudyChunks
from p2pacs.swarm.studies.partner import Partner
from p2pacs.swarm.studies.study_swarm import StudySwarm
from p2pacs.wire.messages.messages import Block, ManifestNews, Refuse

log = structlog.get_logger(__name__)


@frozen
class _Verified:
    """A chunk whose hash is right, on its way to the disk."""

    number: int
    chunk_id: ChunkId
    data: bytes
    giver: VirtualAddress


class Download:
    """Download of one study: asks, verifies, stores. A `Transfer` is its public face."""

    def __init__(
        self,
        swarm: StudySwarm,
        mesh: Mesh,
        transfer: Transfer,
        *,
        availability: Availability,
        tier: Callable[[VirtualAddress], Tier],
        announce: Callable[[], None],
        allowance: Callable[[], float],
        came: Callable[[int], None],
        asked: Callable[[int], None],
        received: Callable[[VirtualAddress, int], None],
        tuning: DownloadTuning = TUNING,
    ) -> None:
        """Nothing happens before `run`.

        Args:
            swarm: Who takes part.
            mesh: The links.
            transfer: What the rest of the program sees.
            availability: Empty; this download's own.
            tier: Who is asked first.
            announce: Called when chunks arrived: partners may want them, and are to be told.
            allowance: Bytes that may be asked for over the host's line, now.
            came: Called when so many came over it.
            asked: Called when so many were.
            received: Called when a member gave a chunk of so many bytes.
            tuning: When it looks for more, and gives up.
        """
        self._tuning = tuning
        self.transfer = transfer
        self.availability = availability
        self.sources = Sources(
            swarm, mesh, transfer, availability, tier=tier, allowance=allowance, asked=asked
        )
        self.manifest_sync: ManifestSync | None = None
        self._swarm = swarm
        self._mesh = mesh
        self._announce = announce
        self._received = received
        self._came = came
        self._links = NeighbourLinks(
            swarm,
            mesh,
            lambda member: self.sources.tier(member) is not Tier.HOSPITAL,
            self._starved,
        )
        self._verified: deque[_Verified] = deque()
        self._bell = Bell()
        self._moved_at = trio.current_time()

    # ------------------------------------------------------------ the whole

    async def run(self, storage: ChunkStorage, key: Verifier, root: bytes | None) -> None:
        """Fetch until complete, failed or cancelled.

        Args:
            storage: Where the study is kept.
            key: The broker's, which signs roots.
            root: A root to begin with, if the caller has one.
        """
        try:
            with self.transfer.scope:
                chunks = await self._open(storage, key, root)
                self._swarm.join_all()
                self.transfer.on_holders(partial(self._links.meet, later=True))
                self.transfer.on_priority(self._swarm.join_all)
                self.transfer.on_want(self.sources.hurry)
                self._links.meet(self.transfer.holders)
                for member, partner in self._swarm.partners.items():
                    self.joined(member, partner)
                async with trio.open_nursery() as nursery:
                    if self.manifest_sync is not None:
                        nursery.start_soon(self.manifest_sync.run)
                    nursery.start_soon(self._write, chunks)
                    nursery.start_soon(self._tick)
        except* P2PacsError as group:
            self.transfer.end(first_error(group))
        finally:
            self.transfer.on_holders(None)
            self.transfer.on_priority(None)
            self.transfer.on_want(None)
            self._links.release()
            self._stop()

    def _starved(self, now: float) -> bool:
        return (
            self.availability.wanted_bytes > 0
            and not self.availability.flights
            and now > self._moved_at + self._tuning.without_seconds
        )

    async def _open(self, storage: ChunkStorage, key: Verifier, root: bytes | None) -> StudyChunks:
        """What is here already, and the root to begin with."""
        chunks = await storage.study(self.transfer.study)
        self._swarm.chunks = chunks
        self.transfer.have = chunks.have
        for number in chunks.have:
            self.availability.have.add(number)
        self.manifest_sync = ManifestSync(
            self._swarm,
            chunks,
            self._mesh,
            key,
            self._grown,
            holders=self.transfer.holders,
        )
        for raw in (chunks.root, root):
            if raw:
                await self.manifest_sync.accept(raw)
        return chunks

    def _stop(self) -> None:
        """Nothing more is wanted."""
        self.sources.stop()
        if self._swarm.download is self.sources:
            self._swarm.download = None
            self._swarm.join_all()
        log.info(
            "transfer ended",
            study=self.transfer.study.short,
            state=self.transfer.state.value,
            error=str(self.transfer.error) if self.transfer.error else None,
            bytes=self.transfer.bytes_received,
        )

    def _grown(self) -> None:
        """The root or the list of chunks has grown."""
        if self.manifest_sync is None:
            return
        chunk_list = self.manifest_sync.list
        first = self.availability.total
        if len(chunk_list) > first:
            sizes = [chunk_list.size(number) for number in range(first, len(chunk_list))]
            self.availability.grow(sizes)
            if first == 0:
                self._swarm.join_all()  # from now on it can choose
            self.transfer.bytes_held += sum(
                size for number, size in enumerate(sizes, first) if number in self.availability.have
            )
        self.transfer.root = self.manifest_sync.root
        self.transfer.chunks = chunk_list
        self._moved_at = trio.current_time()
        self.transfer.watch.changed()
        self._bell.ring()
        self.sources.listed()

    def offer(self, member: VirtualAddress, raw: bytes) -> None:
        """A member pushed a root."""
        if self.manifest_sync is not None:
            self.manifest_sync.offer(member, raw)

    def recheck(self) -> None:
        """Fetch again what the store has lost (a rotten chunk)."""
        coming = {verified.number for verified in self._verified}
        held = [number for number in self.availability.have if number < self.availability.total]
        rotten = [n for n in held if n not in self.transfer.have and n not in coming]
        for number in rotten:
            self.transfer.bytes_held -= self.availability.sizes[number]
            self.availability.rotten(number)
        if rotten:
            self._swarm.join_all()  # whoever gave them takes them to be here
        self.sources.ask()

    def joined(self, member: VirtualAddress, partner: Partner) -> None:
        """A member takes part, or says anew what it has."""
        self.sources.joined(member, partner)
        self._links.seek(trio.current_time())
        if self.manifest_sync is not None:
            self.manifest_sync.notice(member, partner.version)

    # ------------------------------------------------------------ receiving

    def news(self, member: VirtualAddress, message: Block | Refuse | ManifestNews) -> None:
        """A partner sends something, or will not.

        Raises:
            ProtocolError: it may not send that.
        """
        match message:
            case Block():
                self._block(member, message)
            case Refuse():
                self.sources.refused(member, message)
            case ManifestNews():
                self.offer(member, message.root)

    def _block(self, member: VirtualAddress, block: Block) -> None:
        """A block of a chunk came.

        Raises:
            ProtocolError: nobody asked for it, it is too small, or its chunk's size is not the
                listed one.
        """
        source = self.availability.sources.get(member)
        rest = source.in_flight.get(block.number) if source else None
        if source is None or rest is None:
            self.sources.requests.stray(member, len(block.data))
            return
        size = self.availability.sizes[block.number]
        if block.size != size:
            raise ProtocolError("a chunk of another size than its manifest lists")
        if block.offset != size - rest:  # of an earlier, cancelled request
            self.sources.requests.stray(member, len(block.data))
            return
        if len(block.data) < min(rest, BLOCK_LEAST):
            raise ProtocolError("a chunk that comes in crumbs")
        now = trio.current_time()
        self.availability.moved(source, block.number, len(block.data), now)
        if source.on_line:
            self._came(len(block.data))
        self.sources.answer_held(now)
        data = self.sources.requests.blocks.add(member, block)
        if data is not None:
            self._chunk(source, block.number, data, now)
        if not source.offers and self.sources.picker.hungry(source):
            self.sources.ask()
            if not source.in_flight:
                self.sources.take_over(now)

    def _chunk(self, source: Source, number: int, data: bytes, now: float) -> None:
        """A whole chunk came: keep it if it is the right one."""
        if self.manifest_sync is None:
            return
        expected = self.manifest_sync.list.id(number)
        if ChunkId.of(data) != expected:
            self.availability.lost(source, number, now)
            self._mesh.strike(source.address, ChunkMismatchError("a chunk that is not its id"))
            return
        for other in self.availability.arrived(number, now):
            if other is not source:
                self.sources.cancel(other, [number])
        self._moved_at = now
        self.sources.unwritten += len(data)
        self.transfer.bytes_received += len(data)
        self._received(source.address, len(data))
        self._verified.append(_Verified(number, expected, data, source.address))
        self._bell.ring()

    # ------------------------------------------------------------ tasks

    async def _write(self, chunks: StudyChunks) -> None:
        """Store what was verified; the transfer is complete when nothing is left to do."""
        while True:
            while self._verified:
                one = self._verified[0]
                await chunks.put(one.number, one.chunk_id, one.data)
                self._verified.popleft()
                self.sources.unwritten -= len(one.data)
                self.transfer.bytes_held += len(one.data)
                self._swarm.gained([one.number], one.giver)
                self._announce()
                self.transfer.watch.changed()
            if self._complete():
                await chunks.flush()
                if self._complete():
                    self.transfer.end(None)
            await self._bell.wait()

    def _complete(self) -> bool:
        manifest_sync = self.manifest_sync
        return (
            manifest_sync is not None
            and manifest_sync.root is not None
            and manifest_sync.root.complete
            and manifest_sync.listed
            and self.availability.complete
            and not self._verified
        )

    async def _tick(self) -> None:
        now = trio.current_time()
        tick_at = now + self._tuning.tick_seconds
        while True:
            await self._links.wait_until(tick_at, now)
            now = trio.current_time()
            self._links.seek(now)
            if now < tick_at:
                continue
            tick_at = now + self._tuning.tick_seconds
            self.sources.tick(now)
            if error := self._hopeless(now):
                self.transfer.end(error)

    def _hopeless(self, now: float) -> P2PacsError | None:
        """Why the transfer cannot go on, if it cannot."""
        root = self.manifest_sync.root if self.manifest_sync else None
        growing = root is None or not root.complete
        publishing = growing and not self._mesh.brokers.isdisjoint(self._mesh.links)
        if self.availability.flights or self._verified:
            return None
        if not self._tuning.gives_up(
            now - self._moved_at, publishing=publishing, awaited=lambda: self.sources.awaited
        ):
            return None
        return NoSourceError(
            f"no reachable member has all of study {self.transfer.study.short}: try again later"
        )
