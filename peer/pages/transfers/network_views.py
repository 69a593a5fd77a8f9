"""The page of the network: the members, and what is stored here."""

from __future__ import annotations

import trio
from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from p2pacs.accounts.sessions import Session
from p2pacs.web.pages import Pages
from peer.pages.sources.page_sources import PageSources
from peer.pages.sources.storage import forecast


@frozen
class NetworkViews:
    """Pages of who may see the network."""

    pages: Pages
    sources: PageSources

    async def network(self, request: Request, session: Session) -> Response:
        """The members, and what is stored here."""
        parts, state = self.sources.parts, self.sources.state
        await parts.activity.settle()
        store, notes = parts.store, await self.sources.notes.all()
        studies = store.studies()
        sent = [] if parts.sent is None else await parts.sent.list_studies(0)
        return self.pages.page(
            request,
            "network.html",
            session=session,
            live="/live/network",
            members=state.members(state.event()),
            own=state.own(),
            trouble=state.trouble(),
            storage=forecast(notes, store.used, store.capacity),
            studies=len(studies),
            pinned=sum(one.pinned for one in studies),
            spooled=sum(one.spooled for one in sent),
            catalogue=await trio.to_thread.run_sync(len, parts.catalogue),
            age=parts.catalogue_age(),
            aet=parts.settings.aet,
            dicom=parts.settings.dicom,
        )
