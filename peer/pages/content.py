"""What the hospital's pages show: its routes, each with the right that it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from starlette.routing import Route

from p2pacs.accounts.sessions import Session
from p2pacs.concurrency.budget import Budget
from p2pacs.languages import formats
from p2pacs.limits import WEB_READ_BYTES
from p2pacs.pages import words
from p2pacs.pages.door import Door
from p2pacs.pages.live_updates import TUNING, LiveTuning
from p2pacs.texts import clean
from p2pacs.web.pages import Pages
from peer.accounts.rights import UserRight
from peer.pages.live.chunk_map import runs
from peer.pages.settings.settings_views import SettingsViews
from peer.pages.sources.page_sources import ContentParts, PageSources
from peer.pages.study.image_views import ImageViews
from peer.pages.study.study_actions import StudyActions
from peer.pages.study.study_views import StudyViews
from peer.pages.study.viewer_views import ViewerViews, WayToViewer
from peer.pages.transfers.live_views import LiveViews
from peer.pages.transfers.network_views import NetworkViews
from peer.pages.transfers.sent_views import SentViews
from peer.pages.transfers.transfer_views import TransferViews

_FILTERS: Final[Mapping[str, Callable[..., object]]] = {
    "person": words.person,
    "day": words.day,
    "clock": words.clock,
    "sex": words.sex,
    "size": formats.size,
    "whole": formats.whole,
    "days": words.days,
    "ago": words.ago,
    "clean": clean,
    "runs": runs,
}
"""What templates call to word a value."""

_GET: Final = ["GET"]
_POST: Final = ["POST"]


class PagesContent:
    """What is behind the door."""

    def __init__(self, parts: ContentParts, live: LiveTuning = TUNING) -> None:
        """Nothing runs before `run`.

        Args:
            parts: of the peer.
            live: how often open pages are told.
        """
        self.sources = PageSources.of(parts, live)

    async def run(self) -> None:
        """Keep open pages new; for ever."""
        await self.sources.run()

    def signed_out(self, session: Session) -> None:
        """What open pages of this session are told ends with it."""
        self.sources.live.end_session(session.csrf)

    def routes(self, door: Door, pages: Pages) -> Sequence[Route]:
        """All pages and forms, each with the right that it needs."""
        pages.filter(**_FILTERS)
        settings = SettingsViews(pages, self.sources.parts.folder)
        return [
            *_study_pages(self.sources, door, pages),
            *_study_forms(self.sources, door, pages),
            *_moving_pages(self.sources, door, pages),
            *_sent_pages(self.sources, door, pages),
            Route("/settings", door.shows(settings.settings, UserRight.SETTINGS), methods=_GET),
            Route("/settings", door.changes(settings.change, UserRight.SETTINGS), methods=_POST),
        ]


def _study_pages(sources: PageSources, door: Door, pages: Pages) -> list[Route]:
    """Finding studies, and looking at them."""
    right, shows = UserRight, door.shows
    studies = StudyViews(pages, sources, WayToViewer(door, sources.parts.viewer, right.LOOK))
    images = ImageViews(sources.reads, sources.parts.workers)
    study, instance = "/studies/{study}", "/studies/{study}/instances/{number}"
    return [
        Route("/studies", shows(studies.studies, right.SEARCH), methods=_GET),
        Route("/studies", door.changes(studies.search, right.SEARCH), methods=_POST),
        Route(study, shows(studies.study, right.SEARCH), methods=_GET),
        Route(f"{study}/look", shows(studies.look, right.LOOK), methods=_GET),
        Route(f"{study}/images", shows(images.images, right.LOOK), methods=_GET),
        Route(f"{instance}/preview", shows(images.preview, right.LOOK), methods=_GET),
        Route(f"{instance}/picture", shows(images.picture, right.LOOK), methods=_GET),
    ]


def _study_forms(sources: PageSources, door: Door, pages: Pages) -> list[Route]:
    """What somebody does with a study."""
    actions = StudyActions(sources.parts, sources.listing, sources.reads, Budget(WEB_READ_BYTES))
    viewer = ViewerViews(pages, door, sources.listing, sources.parts.viewer)
    right, changes, study = UserRight, door.changes, "/studies/{study}"
    cancel = "/sends/{number}/cancel"
    return [
        Route(f"{study}/viewer", changes(viewer.open, right.LOOK), methods=_POST),
        Route(f"{study}/fetch", changes(actions.fetch, right.FETCH), methods=_POST),
        Route(f"{study}/pause", changes(actions.pause, right.FETCH), methods=_POST),
        Route(f"{study}/cancel", changes(actions.cancel, right.FETCH), methods=_POST),
        Route(f"{study}/stat", changes(actions.stat, right.STAT), methods=_POST),
        Route(f"{study}/pin", changes(actions.pin, right.PIN), methods=_POST),
        Route(f"{study}/unpin", changes(actions.unpin, right.PIN), methods=_POST),
        Route(f"{study}/send", changes(actions.send, right.SEND), methods=_POST),
        Route(f"{study}/archive", changes(actions.archive, right.DOWNLOAD), methods=_POST),
        Route(cancel, changes(actions.cancel_send, right.SEND), methods=_POST),
    ]


def _moving_pages(sources: PageSources, door: Door, pages: Pages) -> list[Route]:
    """What is on its way, the members, and the streams that keep all pages new."""
    transfers, network = TransferViews(pages, sources), NetworkViews(pages, sources)
    live = LiveViews(door, sources)
    right, shows = UserRight, door.shows
    return [
        Route("/transfers", shows(transfers.all_transfers, right.SEE), methods=_GET),
        Route("/transfers/{study}/card", shows(transfers.card, right.SEE), methods=_GET),
        Route("/network", shows(network.network, right.SEE), methods=_GET),
        Route("/live/transfers", shows(live.transfers, right.SEE), methods=_GET),
        Route("/live/network", shows(live.network, right.SEE), methods=_GET),
        Route("/live/studies/{study}", shows(live.study, right.SEARCH), methods=_GET),
    ]


def _sent_pages(sources: PageSources, door: Door, pages: Pages) -> list[Route]:
    """Studies that are sent from here, and what somebody does about one."""
    sent, live = SentViews(pages, sources), LiveViews(door, sources)
    right, shows, changes = UserRight, door.shows, door.changes
    one = "/sent/{number}"
    return [
        Route("/sent", shows(sent.all_sent, right.SEE), methods=_GET),
        Route(f"{one}/card", shows(sent.card, right.SEE), methods=_GET),
        Route(f"{one}/address", shows(sent.address, right.OUTGOING), methods=_GET),
        Route(f"{one}/address", changes(sent.readdress, right.OUTGOING), methods=_POST),
        Route(f"{one}/retry", changes(sent.retry, right.OUTGOING), methods=_POST),
        Route(f"{one}/cancel", changes(sent.cancel, right.OUTGOING), methods=_POST),
        Route(f"{one}/remove", changes(sent.remove, right.OUTGOING), methods=_POST),
        Route("/live/sent", shows(live.sent, right.SEE), methods=_GET),
    ]
