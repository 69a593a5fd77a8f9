"""The streams that keep open pages new."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from p2pacs.accounts.sessions import Session
from p2pacs.ids import StudyId
from p2pacs.pages.door import Door
from p2pacs.pages.live_updates import EventStream
from peer.pages.live import live_state
from peer.pages.live.received_state import RECEIVED
from peer.pages.live.sent_state import SENT
from peer.pages.sources.page_sources import PageSources
from peer.pages.study.image_views import study_of

_EVERYWHERE: Final = frozenset({live_state.TROUBLE, RECEIVED})
"""Topics that every page shows."""


@frozen
class LiveViews:
    """For who may see the pages that they keep new."""

    door: Door
    sources: PageSources

    async def transfers(self, request: Request, session: Session) -> Response:
        """What changes of transfers and sends."""
        shown = (live_state.TRANSFER, live_state.SEND, live_state.TRANSFERS)
        return self._stream(request, session, lambda topic: topic.startswith(shown))

    async def sent(self, request: Request, session: Session) -> Response:
        """What changes of studies that are sent from here."""
        shown = lambda topic: topic == SENT or topic.startswith(f"{SENT}-")  # noqa: E731
        return self._stream(request, session, shown)

    async def network(self, request: Request, session: Session) -> Response:
        """What changes of members."""
        return self._stream(request, session, lambda topic: topic == live_state.NETWORK)

    async def study(self, request: Request, session: Session) -> Response:
        """What changes of one study."""
        study = study_of(request)
        await self.sources.listing.get(study)
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

        shown = lambda topic: topic in _EVERYWHERE or wants(topic)  # noqa: E731
        events = self.sources.live.stream(shown, session.csrf, is_valid)
        return EventStream(events if study is None else self._watching(study, events))

    async def _watching(
        self, study: StudyId, events: AsyncGenerator[bytes, None]
    ) -> AsyncGenerator[bytes, None]:
        with self.sources.state.watching(study):
            async with aclosing(events):
                async for event in events:
                    yield event
