"""Transfers: what the rest of the program sees of a study that is fetched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

import trio
from attrs import frozen

from p2pacs.bitfield import Bitfield
from p2pacs.concurrency.signals import Watch
from p2pacs.errors import P2PacsError, UnavailableError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.study.manifest import ChunkList, Root
from p2pacs.swarm.scheduling.availability import Availability
from p2pacs.swarm.scheduling.priority import Priority


class TransferState(StrEnum):
    """State of a transfer."""

    FETCHING = "fetching"
    COMPLETE = "complete"
    FAILED = "failed"


@frozen
class SourceStats:
    """What one member contributed."""

    bytes: int
    """Bytes of chunks received from it in this transfer."""
    rate: float
    """Bytes a second while it owed something; 0 while unknown."""
    in_flight: int
    """Bytes asked of it and still to come."""


class Transfer:
    """A study that is, or was, fetched. Made by `Downloads.fetch`; changed by the swarm alone."""

    def __init__(
        self, study: StudyId, availability: Availability, priority: Priority = Priority.INTERACTIVE
    ) -> None:
        self.study = study
        self.priority = priority
        self.state = TransferState.FETCHING
        self.error: P2PacsError | None = None
        """Why it failed."""
        self.root: Root | None = None
        """The newest verified root."""
        self.chunks: ChunkList | None = None
        """Ids and sizes of the chunks listed so far."""
        self.have = Bitfield()
        """Numbers of the chunks that can be read here."""
        self.bytes_received = 0
        """Bytes of verified chunks received in this transfer."""
        self.bytes_held = 0
        """Bytes of the study that are here."""
        self.started = trio.current_time()
        self.ended: float | None = None
        self.urgent_since = self.started
        """When its priority was set. All on trio's clock."""
        self.watch = Watch()
        self.holders: dict[VirtualAddress, None] = {}
        self.past_sources: dict[VirtualAddress, int] = {}
        self._availability = availability
        self._on_holders: Callable[[Iterable[VirtualAddress]], None] | None = None
        self._on_priority: Callable[[], None] | None = None
        self._on_want: Callable[[], None] | None = None
        self._scope = trio.CancelScope()

    # ------------------------------------------------------------ progress

    @property
    def bytes_total(self) -> int:
        """Bytes of all chunks of the newest version; 0 while unknown."""
        return self.root.total_bytes if self.root else 0

    @property
    def sources(self) -> dict[VirtualAddress, SourceStats]:
        """Every member that gave something, or is asked now."""
        gone = {member: SourceStats(size, 0.0, 0) for member, size in self.past_sources.items()}
        linked = {
            source.address: SourceStats(
                source.bytes_received + self.past_sources.get(source.address, 0),
                source.meter.value,
                source.asked_bytes,
            )
            for source in self._availability.sources.values()
        }
        return {
            member: stats
            for member, stats in (gone | linked).items()
            if stats.bytes or stats.in_flight
        }

    # ------------------------------------------------------------ steering

    def add_holders(self, holders: Iterable[VirtualAddress]) -> None:
        """These members hold or fetch the study too."""
        fresh = [member for member in holders if member not in self.holders]
        self.holders.update(dict.fromkeys(fresh))
        if self._on_holders is not None:
            self._on_holders(fresh)

    def on_holders(self, listener: Callable[[Iterable[VirtualAddress]], None] | None) -> None:
        """Who is told of further holders (the engine)."""
        self._on_holders = listener

    def want(self, numbers: Iterable[int]) -> None:
        """Somebody waits for these chunks: they come before all others."""
        if self._availability.prefer(numbers) and self._on_want is not None:
            self._on_want()

    def on_want(self, listener: Callable[[], None] | None) -> None:
        """Who is told when somebody waits for more (the engine)."""
        self._on_want = listener

    def look(self, numbers: Iterable[int]) -> None:
        """These chunks are looked at now, in this order: they come before others.

        Whatever was looked at before no longer counts; no numbers end it. What is looked at
        comes in a window that slides over it, the rarest of the window first
        (`p2pacs.swarm.scheduling.viewport`), so that the whole loses next to nothing.
        """
        self._availability.look(numbers)

    def prioritise(self, priority: Priority) -> None:
        """From now on it is this urgent; all who serve it are told."""
        if priority is not self.priority:
            self.priority = priority
            self.urgent_since = trio.current_time()
            if self._on_priority is not None:
                self._on_priority()

    def on_priority(self, listener: Callable[[], None] | None) -> None:
        """Who is told of another priority (the engine)."""
        self._on_priority = listener

    def cancel(self) -> None:
        """Stop; what is here stays."""
        self.end(UnavailableError("the transfer was cancelled"))

    def end(self, error: P2PacsError | None) -> None:
        """The transfer is complete (no error) or failed."""
        if self.state is TransferState.FETCHING:
            self.state = TransferState.FAILED if error else TransferState.COMPLETE
            self.error = error
            self.ended = trio.current_time()
            self._scope.cancel()
            self.watch.changed()

    @property
    def scope(self) -> trio.CancelScope:
        """Cancelled when the transfer ends."""
        return self._scope

    # ------------------------------------------------------------ waiting

    async def wait_version(self, newer_than: int) -> Root:
        """The newest root, once it is newer than this version.

        Raises:
            P2PacsError: the transfer ended without one.
        """
        await self._until(lambda: self.root is not None and self.root.version > newer_than)
        if self.root is None:
            raise UnavailableError("the transfer ended without a manifest")
        return self.root

    async def wait_chunks(self, numbers: Sequence[int]) -> None:
        """Until these chunks can be read; they are fetched before all others.

        Raises:
            P2PacsError: the transfer ended without them.
        """
        self.want(numbers)
        missing = list(numbers)

        def all_here() -> bool:
            while missing and missing[-1] in self.have:
                missing.pop()
            return not missing

        await self._until(all_here)

    async def wait_complete(self) -> None:
        """Until the whole study is here and safe on disk.

        Raises:
            P2PacsError: the transfer failed.
        """
        await self._until(lambda: self.state is TransferState.COMPLETE)

    async def _until(self, condition: Callable[[], bool]) -> None:
        def reached() -> bool:
            return condition() or self.state is not TransferState.FETCHING

        await self.watch.until(reached)
        if not condition():
            raise self.error or UnavailableError("the transfer ended before that")
