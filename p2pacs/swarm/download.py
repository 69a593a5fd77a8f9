"""Fetching one study: asks every source for many chunks, verifies, stores, asks again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import structlog
import trio

from p2pacs.bitfield import Bitfield
from p2pacs.errors import (
    BusyError,
    ChunkMismatchError,
    LocalError,
    ManifestError,
    NoSourceError,
    P2PacsError,
    ProtocolError,
)
from p2pacs.identity.keys import VerifyKey
from p2pacs.ids import ChunkId, VirtualAddress
from p2pacs.swarm import picker
from p2pacs.swarm.chunks import ChunkStorage, StudyChunks
from p2pacs.swarm.circle import Circle, Partner
from p2pacs.swarm.follow import Follower
from p2pacs.swarm.ledger import Ledger, Source, Tier
from p2pacs.swarm.mesh import Mesh
from p2pacs.swarm.requests import Requests
from p2pacs.swarm.signals import Bell
from p2pacs.swarm.transfer import State, Transfer
from p2pacs.wire.messages import Block, Refuse

log = structlog.get_logger(__name__)

TICK_SECONDS: Final = 0.1
"""How often deadlines and pauses are looked at."""

OTHERS_SECONDS: Final = 1.0
"""How long the broker is not asked while other holders are being dialled."""

HOPE_SECONDS: Final = 30.0
"""A transfer fails after this long without anybody who has what is missing ..."""

STAGING_SECONDS: Final = 300.0
"""... or, while the broker is linked and the study still grows, after this long."""


class Download:
    """The engine of one `Transfer`."""

    def __init__(
        self,
        circle: Circle,
        mesh: Mesh,
        transfer: Transfer,
        *,
        ledger: Ledger,
        tier: Callable[[VirtualAddress], Tier],
        announce: Bell,
    ) -> None:
        """Nothing happens before `run`.

        Args:
            circle: Who takes part.
            mesh: The links.
            transfer: What the rest of the program sees.
            ledger: Empty; this download's own.
            tier: Who is asked first.
            announce: Rung when chunks arrived that partners are to be told of.
        """
        self.transfer = transfer
        self.ledger = ledger
        self.follower: Follower | None = None
        self._circle = circle
        self._mesh = mesh
        self._tier = tier
        self._announce = announce
        self._suspended: dict[VirtualAddress, Source] = {}
        self._requests = Requests(circle)
        self._verified: deque[tuple[int, ChunkId, bytes]] = deque()
        self._unwritten = 0
        self._bell = Bell()
        self._moved_at = trio.current_time()

    # ------------------------------------------------------------ the whole

    async def run(self, storage: ChunkStorage, key: VerifyKey, root: bytes | None) -> None:
        """Fetch until complete, failed or cancelled.

        Args:
            storage: Where the study is kept.
            key: The broker's, which signs roots.
            root: A root to begin with, if the caller has one.
        """
        kept: set[VirtualAddress] = set()

        def keep(members: Iterable[VirtualAddress]) -> None:
            for member in members:
                if member not in kept and member != self._mesh.me:
                    kept.add(member)
                    self._mesh.keep(member)
                    if member not in self._circle.told:
                        self._circle.join(member)

        try:
            with self.transfer.scope:
                chunks = await self._open(storage, key, root)
                self._circle.join_all()
                self.transfer.on_holders(keep)
                keep(self.transfer.holders)
                for member, partner in self._circle.partners.items():
                    self.joined(member, partner)
                async with trio.open_nursery() as nursery:
                    if self.follower is not None:
                        nursery.start_soon(self.follower.run)
                    nursery.start_soon(self._write, chunks)
                    nursery.start_soon(self._tick)
        except* (LocalError, ManifestError) as group:
            self.transfer.end(_first(group))
        finally:
            self.transfer.on_holders(None)
            for member in kept:
                self._mesh.release(member)
            self._stop()

    async def _open(self, storage: ChunkStorage, key: VerifyKey, root: bytes | None) -> StudyChunks:
        """What is here already, and the root to begin with."""
        chunks = await storage.study(self.transfer.study)
        self._circle.chunks = chunks
        self.transfer.have = chunks.have
        for number in chunks.have:
            self.ledger.have.add(number)
        self.follower = Follower(self._circle, chunks, self._mesh, key, self._grown)
        for raw in (chunks.root, root):
            if raw:
                await self.follower.accept(raw)
        return chunks

    def _stop(self) -> None:
        """Nothing more is wanted."""
        for source in self.ledger.sources.values():
            self._cancel(source, list(source.in_flight))
            self._part(source)
        if self._circle.download is self:
            self._circle.download = None
            self._circle.join_all()
        log.info(
            "transfer ended",
            study=self.transfer.study.short,
            state=self.transfer.state.value,
            error=str(self.transfer.error) if self.transfer.error else None,
            bytes=self.transfer.bytes_received,
        )

    def _grown(self) -> None:
        """The root or the list of chunks has grown."""
        if self.follower is None:
            return
        chunk_list = self.follower.list
        first = self.ledger.total
        if len(chunk_list) > first:
            sizes = [chunk_list.size(number) for number in range(first, len(chunk_list))]
            self.ledger.grow(sizes)
            self.transfer.bytes_held += sum(
                size for number, size in enumerate(sizes, first) if number in self.ledger.have
            )
        self.transfer.root = self.follower.root
        self.transfer.chunks = chunk_list
        self._moved_at = trio.current_time()
        self.transfer.watch.changed()
        self._bell.ring()
        self._ask()

    def offer(self, member: VirtualAddress, raw: bytes) -> None:
        """A member pushed a root."""
        if self.follower is not None:
            self.follower.offer(member, raw)

    # ------------------------------------------------------------ partners

    def joined(self, member: VirtualAddress, partner: Partner) -> None:
        """A member takes part, or says anew what it has."""
        if source := self.ledger.sources.get(member) or self._suspended.get(member):
            self._update(source, partner.has)
        else:
            self.ledger.join(member, self._tier(member), partner.has)
        if self.follower is not None:
            self.follower.notice(member, partner.version)
        self._ask()

    def _update(self, source: Source, has: Bitfield) -> None:
        """A partner said anew what it has; what was asked of it stays asked."""
        now = trio.current_time()
        for number in [number for number in source.has if number not in has]:
            self.ledger.lost(source, number, now)
        self.gained(source.address, has)
        source.has = has

    def gained(self, member: VirtualAddress, numbers: Iterable[int]) -> None:
        """A partner has more chunks."""
        source = self.ledger.sources.get(member)
        if source is None:
            if suspended := self._suspended.get(member):
                for number in numbers:
                    suspended.has.add(number)
            return
        for number in numbers:
            self.ledger.gained(source, number)
        if picker.hungry(source):
            self._ask()

    def left(self, member: VirtualAddress) -> None:
        """A partner is gone: what it owed is asked of others."""
        self._suspended.pop(member, None)
        source = self.ledger.sources.get(member)
        self._requests.drop(member)
        if source is not None:
            self.ledger.leave(source, trio.current_time())
            self._part(source)
            self._ask()

    def _part(self, source: Source) -> None:
        """Keep what a source gave, for the progress display."""
        if source.bytes_received:
            past = self.transfer.past_sources
            past[source.address] = past.get(source.address, 0) + source.bytes_received
            source.bytes_received = 0

    # ------------------------------------------------------------ asking

    def _ask(self) -> None:
        """Ask whoever has room for more."""
        if self.transfer.state is not State.FETCHING:
            return
        now = trio.current_time()
        plan = picker.plan(self.ledger, self._unwritten, broker=self._ask_broker(now))
        for source, numbers in plan:
            self._request(source, numbers, now)

    def _ask_broker(self, now: float) -> bool:
        """Not while those who may have it are still being dialled."""
        return now - self.transfer.started > OTHERS_SECONDS or all(
            member in self.ledger.sources
            for member in self.transfer.holders
            if member not in (self._mesh.me, self._mesh.broker)
        )

    def _take_over(self, now: float) -> None:
        """Give sources that have nothing left to do what slower ones would send last."""
        for takeover in picker.takeovers(self.ledger):
            if takeover.cancel is not None:
                self._cancel(takeover.cancel, [takeover.number])
                self.ledger.again(takeover.cancel, takeover.number, now)
            self._request(takeover.source, [takeover.number], now)

    def _request(self, source: Source, numbers: list[int], now: float) -> None:
        self.ledger.ask(source, numbers, now)
        self._requests.ask(source.address, numbers)

    def _cancel(self, source: Source, numbers: list[int]) -> None:
        sizes = self.ledger.sizes
        self._requests.cancel(source.address, numbers, sum(sizes[n] for n in numbers))

    # ------------------------------------------------------------ receiving

    def block(self, member: VirtualAddress, block: Block) -> None:
        """A piece of a chunk came.

        Raises:
            ProtocolError: nobody asked for it, or its size is not the listed one.
        """
        source = self.ledger.sources.get(member)
        rest = source.in_flight.get(block.number) if source else None
        if source is None or rest is None:
            self._requests.stray(member, len(block.data))
            return
        size = self.ledger.sizes[block.number]
        if block.size != size:
            raise ProtocolError("a chunk of another size than its manifest lists")
        if block.offset != size - rest:  # of an earlier, cancelled request
            self._requests.stray(member, len(block.data))
            return
        now = trio.current_time()
        self.ledger.moved(source, block.number, len(block.data), now)
        data = self._requests.blocks.add(member, block)
        if data is not None:
            self._chunk(source, block.number, data, now)
        if picker.hungry(source):
            self._ask()
            if not source.in_flight:
                self._take_over(now)

    def _chunk(self, source: Source, number: int, data: bytes, now: float) -> None:
        """A whole chunk came: keep it if it is the right one."""
        if self.follower is None:
            return
        expected = self.follower.list.id(number)
        if ChunkId.of(data) != expected:
            self.ledger.lost(source, number, now)
            self._mesh.strike(source.address, ChunkMismatchError("a chunk that is not its id"))
            return
        for other in self.ledger.arrived(number, now):
            if other is not source:
                self._cancel(other, [number])
        self._moved_at = now
        self._unwritten += len(data)
        self.transfer.bytes_received += len(data)
        self._verified.append((number, expected, data))
        self._bell.ring()

    def refused(self, member: VirtualAddress, message: Refuse) -> None:
        """A partner will not send these."""
        source = self.ledger.sources.get(member)
        if source is None:
            return
        now = trio.current_time()
        if message.code == BusyError.wire_code:
            self._suspend(source, now)
            return
        for number in message.numbers:
            if number in source.has:
                self.ledger.lost(source, number, now)
        self._ask()

    # ------------------------------------------------------------ tasks

    async def _write(self, chunks: StudyChunks) -> None:
        """Store what was verified; the transfer is complete when nothing is left to do."""
        while True:
            while self._verified:
                number, chunk_id, data = self._verified.popleft()
                await chunks.put(number, chunk_id, data)
                self._unwritten -= len(data)
                self.transfer.bytes_held += len(data)
                self._circle.gained([number])
                self._announce.ring()
                self.transfer.watch.changed()
            if self._complete():
                await chunks.flush()
                if self._complete():
                    self.transfer.end(None)
            await self._bell.wait()

    def _complete(self) -> bool:
        follower = self.follower
        return (
            follower is not None
            and follower.root is not None
            and follower.root.complete
            and follower.listed
            and self.ledger.complete
            and not self._verified
        )

    async def _tick(self) -> None:
        while True:
            await trio.sleep(TICK_SECONDS)
            now = trio.current_time()
            for source in picker.stalled(self.ledger, now):
                self._suspend(source, now)
            for member, source in list(self._suspended.items()):
                if now >= source.suspended_until:
                    del self._suspended[member]
                    self.ledger.back(source)
            self._ask()
            self._take_over(now)
            if error := self._hopeless(now):
                self.transfer.end(error)

    def _suspend(self, source: Source, now: float) -> None:
        """Count on a source no longer for a while: what it owes is asked of others."""
        log.info(
            "source stalled",
            study=self.transfer.study.short,
            member=self._mesh.name(source.address),
            chunks=len(source.in_flight),
        )
        self._cancel(source, list(source.in_flight))
        self.ledger.leave(source, now)
        self._part(source)
        source.suspended_until = now + picker.pause(source)
        source.stalls += 1
        self._suspended[source.address] = source

    def _hopeless(self, now: float) -> P2PacsError | None:
        """Why the transfer cannot go on, if it cannot."""
        root = self.follower.root if self.follower else None
        growing = root is None or not root.complete
        staging = growing and self._mesh.broker in self._mesh.links
        patience = STAGING_SECONDS if staging else HOPE_SECONDS
        if self.ledger.flights or self._verified or now - self._moved_at < patience:
            return None
        return NoSourceError(
            f"no reachable member has what is missing of study {self.transfer.study.short}; "
            "try again when a member that holds it is there"
        )


def _first(group: BaseExceptionGroup[P2PacsError]) -> P2PacsError:
    """One of the errors that several tasks ended with."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
