"""Pages of what moves: transfers, members, storage; and the streams that keep all pages new."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

import trio
from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from p2pacs.accounts.sessions import Session
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.dataset.json_model import text
from p2pacs.errors import NotFoundError, P2PacsError
from p2pacs.ids import StudyId
from p2pacs.json_object import JsonObject
from p2pacs.pages import words
from p2pacs.pages.door import Door
from p2pacs.pages.live_updates import EventStream, LiveUpdates
from p2pacs.store import ChunkStore
from p2pacs.swarm.download.transfer import Transfer
from p2pacs.texts import clean
from p2pacs.web.pages import Pages
from peer.accounts.rights import UserRight
from peer.api.activity import Activity
from peer.config import PeerSettings
from peer.gateway.sends import WorkstationSends
from peer.pages.live import live_state
from peer.pages.live.live_state import LiveState, send_words
from peer.pages.search.listing import StudyListing
from peer.pages.study.image_views import study_of
from peer.pages.study.study_views import ShownSend
from peer.pages.transfers.storage import forecast
from peer.pages.transfers.storage_notes import StorageNotes


@frozen
class ShownTransfer:
    """A transfer on a page."""

    told: JsonObject
    title: str
    """The patient and the study for who may search, else the study's short id."""
    link: bool


@frozen
class MovingViews:
    """Pages that change by themselves."""

    pages: Pages
    door: Door
    listing: StudyListing
    source: LiveState
    live: LiveUpdates
    activity: Activity
    transfers: Mapping[StudyId, Transfer]
    sends: WorkstationSends
    catalogue: CatalogueIndex
    catalogue_age: Callable[[], float | None]
    store: ChunkStore
    notes: StorageNotes
    settings: PeerSettings

    # ------------------------------------------------------------ pages

    async def all_transfers(self, request: Request, session: Session) -> Response:
        """Studies on their way here, and from here to workstations."""
        await self.activity.settle()
        # All at once: what is shown may be recycled while the next one is looked up.
        said = [self.source.transfer(one) for one in self.source.event()["transfers"]]
        shown = [await self._shown(one, session) for one in said]
        return self.pages.page(
            request,
            "transfers.html",
            session=session,
            live="/live/transfers",
            transfers=shown,
            sends=[ShownSend(one.number, send_words(one)) for one in self.sends.all],
        )

    async def card(self, request: Request, session: Session) -> Response:
        """One transfer as the page of all shows it, for a page that is open already."""
        transfer = self.transfers.get(study_of(request))
        if transfer is None:
            raise NotFoundError("there is no such transfer")
        said = self.source.transfer(self.activity.transfer(transfer, 32))
        shown = await self._shown(said, session)
        return self.pages.page(
            request,
            "card.html",
            session=session,
            told=shown.told,
            title=shown.title,
            link=shown.link,
        )

    async def _shown(self, said: JsonObject, session: Session) -> ShownTransfer:
        study = StudyId.parse(said["study"])
        title, link = f"Study {study.short}", False
        if session.may(UserRight.SEARCH):
            try:
                record = await self.listing.get(study)
            except P2PacsError:
                record = None  # it has left the catalogue, or may not be read any more
            if record is not None:
                told_of = record.attributes
                who = words.person(text(told_of, "PatientName")) or "No name"
                when = words.day(text(told_of, "StudyDate"))
                what = clean(text(told_of, "StudyDescription"))
                title, link = ", ".join(part for part in (who, what, when) if part), True
        return ShownTransfer(said, title, link)

    async def network(self, request: Request, session: Session) -> Response:
        """The members, and what is stored here."""
        await self.activity.settle()
        studies = self.store.studies()
        return self.pages.page(
            request,
            "network.html",
            session=session,
            live="/live/network",
            members=self.source.members(self.source.event()),
            trouble=self.source.trouble(),
            storage=forecast(await self.notes.all(), self.store.used, self.store.capacity),
            studies=len(studies),
            pinned=sum(one.pinned for one in studies),
            catalogue=await trio.to_thread.run_sync(len, self.catalogue),
            age=self.catalogue_age(),
            aet=self.settings.aet,
            dicom=self.settings.dicom,
        )

    # ------------------------------------------------------------ streams

    async def live_transfers(self, request: Request, session: Session) -> Response:
        """What changes of transfers and sends."""
        shown = (live_state.TRANSFER, live_state.SEND, live_state.TRANSFERS)
        return self._stream(request, session, lambda topic: topic.startswith(shown))

    async def live_network(self, request: Request, session: Session) -> Response:
        """What changes of members."""
        return self._stream(request, session, lambda topic: topic == live_state.NETWORK)

    async def live_study(self, request: Request, session: Session) -> Response:
        """What changes of one study."""
        study = study_of(request)
        await self.listing.get(study)
        mine = {live_state.TRANSFER + str(study), live_state.STUDY + str(study)}
        wants = lambda topic: topic in mine or topic.startswith(live_state.SEND)  # noqa: E731
        return self._stream(request, session, wants, study)

    def _stream(
        self,
        request: Request,
        session: Session,
        wants: Callable[[str], bool],
        study: StudyId | None = None,
    ) -> Response:
        async def is_valid() -> bool:
            found = await self.door.peek(request)
            return found is not None and found.rights == session.rights

        shown = lambda topic: topic == live_state.TROUBLE or wants(topic)  # noqa: E731
        events = self.live.stream(shown, session.csrf, is_valid)
        return EventStream(events if study is None else self._watching(study, events))

    async def _watching(
        self, study: StudyId, events: AsyncGenerator[bytes, None]
    ) -> AsyncGenerator[bytes, None]:
        with self.source.watching(study):
            async with aclosing(events):
                async for event in events:
                    yield event
