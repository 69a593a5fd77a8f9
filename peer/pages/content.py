"""What the hospital's pages show: its parts, its routes, and what runs behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import trio
from attrs import frozen
from starlette.routing import Route

from p2pacs.accounts.sessions import Session
from p2pacs.budget import Budget
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.identity.book import DirectoryBook
from p2pacs.ids import VirtualAddress
from p2pacs.limits import WEB_READ_BYTES
from p2pacs.pages import words
from p2pacs.pages.door import Door
from p2pacs.pages.live_updates import TUNING, LiveTuning, LiveUpdates
from p2pacs.pages.search.saved_searches import SavedSearches
from p2pacs.store import ChunkStore
from p2pacs.swarm.host import Host
from p2pacs.texts import clean
from p2pacs.units import format_bytes
from p2pacs.web.pages import Pages
from p2pacs.workers.coding import Workers
from peer.accounts.rights import UserRight
from peer.api.activity import Activity
from peer.config import PeerSettings
from peer.db import PeerDatabase
from peer.gateway.sends import WorkstationSends
from peer.gateway.serving import GatewayParts
from peer.pages.live.chunk_map import runs
from peer.pages.live.live_state import LiveState
from peer.pages.search.held_parts import HeldParts
from peer.pages.search.listing import StudyListing
from peer.pages.settings.settings_views import SettingsViews
from peer.pages.study.image_views import ImageViews
from peer.pages.study.page_reads import PageReads
from peer.pages.study.study_actions import StudyActions
from peer.pages.study.study_views import StudyViews
from peer.pages.study.viewer_views import ViewerViews
from peer.pages.transfers.moving_views import MovingViews
from peer.pages.transfers.storage_notes import StorageNotes
from peer.retrieval.audit import AuditQueue
from peer.retrieval.pending_fetches import PendingFetches
from peer.retrieval.reader import StudyReads
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
    activity: Activity
    audit: AuditQueue
    pending: PendingFetches
    reads: StudyReads
    workers: Workers
    gateway: GatewayParts
    viewer: ViewerDoor
    check_membership: Callable[[], None]


class PagesContent:
    """What is behind the door."""

    def __init__(self, parts: ContentParts, live: LiveTuning = TUNING) -> None:
        """Nothing runs before `run`.

        Args:
            parts: of the peer.
            live: how often open pages are told.
        """
        self._parts = parts
        transfers = parts.host.engine.downloads.transfers
        self._held = HeldParts(parts.store, parts.book.keys)
        self.listing = StudyListing(
            parts.catalogue,
            self._held,
            transfers,
            lambda: parts.pending.paused,
            parts.check_membership,
        )
        self._reads = PageReads(parts.reads, self._held, parts.audit, self.listing.get)
        self._sends = WorkstationSends(parts.gateway, parts.settings)
        self._source = LiveState(
            parts.activity,
            transfers,
            parts.pending,
            parts.reads,
            self._sends,
            book=parts.book,
            mesh=parts.host.mesh,
            me=parts.me,
        )
        self.live = LiveUpdates(self._source, live)
        self._notes = StorageNotes(parts.database, lambda: parts.store.used)

    async def run(self) -> None:
        """Keep open pages new, send to workstations, and note how full the store is; for ever."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.live.run)
            nursery.start_soon(self._sends.run)
            nursery.start_soon(self._notes.run)

    def signed_out(self, session: Session) -> None:
        """What open pages of this session are told ends with it."""
        self.live.end_session(session.csrf)

    def routes(self, door: Door, pages: Pages) -> Sequence[Route]:
        """All pages and forms, each with the right that it needs."""
        pages.filter(
            person=words.person,
            day=words.day,
            clock=words.clock,
            sex=words.sex,
            size=format_bytes,
            days=words.days,
            ago=words.ago,
            clean=clean,
            runs=runs,
        )
        parts, transfers = self._parts, self._parts.host.engine.downloads.transfers
        studies = StudyViews(
            pages,
            self.listing,
            SavedSearches(),
            self._reads,
            self._source,
            self._sends,
            parts.activity,
            transfers,
            parts.book,
        )
        actions = StudyActions(
            self.listing,
            parts.reads,
            self._reads,
            parts.pending,
            parts.store,
            self._sends,
            Budget(WEB_READ_BYTES),
        )
        images = ImageViews(self._reads, parts.workers)
        moving = MovingViews(
            pages,
            door,
            self.listing,
            self._source,
            self.live,
            parts.activity,
            transfers,
            self._sends,
            parts.catalogue,
            parts.catalogue_age,
            parts.store,
            self._notes,
            parts.settings,
        )
        settings = SettingsViews(pages, parts.folder)
        viewer = ViewerViews(pages, door, self.listing, parts.viewer)
        right, shows, changes = UserRight, door.shows, door.changes
        study, instance = "/studies/{study}", "/studies/{study}/instances/{number:int}"
        send, get, post = "/sends/{number:int}", ["GET"], ["POST"]
        return [
            Route("/studies", shows(studies.studies, right.SEARCH), methods=get),
            Route("/studies", changes(studies.search, right.SEARCH), methods=post),
            Route(study, shows(studies.study, right.SEARCH), methods=get),
            Route(f"{study}/look", shows(studies.look, right.LOOK), methods=get),
            Route(f"{study}/viewer", changes(viewer.open, right.LOOK), methods=post),
            Route(f"{study}/images", shows(images.images, right.LOOK), methods=get),
            Route(f"{instance}/preview", shows(images.preview, right.LOOK), methods=get),
            Route(f"{instance}/picture", shows(images.picture, right.LOOK), methods=get),
            Route(f"{study}/fetch", changes(actions.fetch, right.FETCH), methods=post),
            Route(f"{study}/pause", changes(actions.pause, right.FETCH), methods=post),
            Route(f"{study}/cancel", changes(actions.cancel, right.FETCH), methods=post),
            Route(f"{study}/stat", changes(actions.stat, right.STAT), methods=post),
            Route(f"{study}/pin", changes(actions.pin, right.PIN), methods=post),
            Route(f"{study}/unpin", changes(actions.unpin, right.PIN), methods=post),
            Route(f"{study}/send", changes(actions.send, right.SEND), methods=post),
            Route(f"{study}/archive", changes(actions.archive, right.DOWNLOAD), methods=post),
            Route(f"{send}/cancel", changes(actions.cancel_send, right.SEND), methods=post),
            Route("/transfers", shows(moving.all_transfers, right.SEE), methods=get),
            Route("/transfers/{study}/card", shows(moving.card, right.SEE), methods=get),
            Route("/network", shows(moving.network, right.SEE), methods=get),
            Route("/live/transfers", shows(moving.live_transfers, right.SEE), methods=get),
            Route("/live/network", shows(moving.live_network, right.SEE), methods=get),
            Route("/live/studies/{study}", shows(moving.live_study, right.SEARCH), methods=get),
            Route("/settings", shows(settings.settings, right.SETTINGS), methods=get),
            Route("/settings", changes(settings.change, right.SETTINGS), methods=post),
        ]
