"""What all pages show and ask: the parts of the peer, and what pages share that is made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import trio
from attrs import frozen

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.identity.book import DirectoryBook
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.pages.live_updates import LiveTuning, LiveUpdates
from p2pacs.store import ChunkStore
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.swarm.host import Host
from p2pacs.workers.coding import Workers
from peer.api.activity import Activity
from peer.api.reached import HowReached
from peer.config import PeerSettings
from peer.db import PeerDatabase
from peer.ingest.outgoing_desk import OutgoingDesk
from peer.pages.live.live_state import LiveState
from peer.pages.live.received_state import ReceivedState
from peer.pages.live.sent_state import SentState
from peer.pages.search.held_parts import HeldParts
from peer.pages.search.listing import StudyListing
from peer.pages.search.sent_listing import SentListing
from peer.pages.sources.page_reads import PageReads
from peer.pages.sources.storage_notes import StorageNotes
from peer.retrieval.audit import AuditQueue
from peer.retrieval.pending_fetches import PendingFetches
from peer.retrieval.reader import StudyReads
from peer.retrieval.sent_here import StudiesSentHere
from peer.sending.sends import WorkstationSends
from peer.viewer.door import ViewerDoor


@frozen
class ContentParts:
    """The parts of the peer that pages show and ask."""

    folder: Path
    settings: PeerSettings
    me: Callable[[], VirtualAddress]
    book: DirectoryBook
    host: Host
    store: ChunkStore
    database: PeerDatabase
    catalogue: CatalogueIndex
    catalogue_age: Callable[[], float | None]
    """Seconds since the broker was last heard of it; None: never."""
    activity: Activity
    audit: AuditQueue
    pending: PendingFetches
    reads: StudyReads
    workers: Workers
    sends: WorkstationSends
    sent_here: StudiesSentHere
    """Who sent which study to this hospital."""
    sent: OutgoingDesk | None
    """Studies that are sent from here into the network; None: none can be."""
    viewer: ViewerDoor
    check_membership: Callable[[], None]
    """Raises a RevokedError where this member was revoked."""

    @property
    def transfers(self) -> Mapping[StudyId, Transfer]:
        """Under way, and the last ones that ended."""
        return self.host.engine.downloads.transfers


@frozen
class PageSources:
    """What every page is made from; each takes of it what it shows."""

    parts: ContentParts
    listing: StudyListing
    """Studies of the catalogue, and where each is."""
    reads: PageReads
    """The inside of studies, for who may look."""
    state: LiveState
    """How everything is now."""
    live: LiveUpdates
    """What of that changes, for pages that are open."""
    notes: StorageNotes
    """How full the store was, day by day."""

    @classmethod
    def of(cls, parts: ContentParts, live: LiveTuning) -> PageSources:
        """Nothing runs before `run`.

        Args:
            parts: of the peer.
            live: how often open pages are told.
        """
        held = HeldParts(parts.store, parts.book.keys)
        paused, check = lambda: parts.pending.paused, parts.check_membership
        received = SentListing(parts.sent_here, parts.catalogue, parts.book)
        listing = StudyListing(
            parts.catalogue,
            held,
            received,
            parts.transfers,
            paused=paused,
            check_membership=check,
        )
        state = LiveState(
            parts.activity,
            parts.transfers,
            parts.pending,
            parts.reads,
            parts.sends,
            book=parts.book,
            mesh=parts.host.mesh,
            me=parts.me,
            reached=HowReached(parts.host, parts.book, parts.me),
            sent=SentState(parts.sent),
            received=ReceivedState(received),
        )
        return cls(
            parts,
            listing,
            PageReads(parts.reads, held, parts.audit, listing.get),
            state,
            LiveUpdates(state, live),
            StorageNotes(parts.database, lambda: parts.store.used),
        )

    async def run(self) -> None:
        """Keep open pages new, and note how full the store is; for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.live.run)
            nursery.start_soon(self.notes.run)
