"""The way from a study's page to the viewer, which has an origin of its own."""

from __future__ import annotations

from attrs import frozen
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from p2pacs.accounts.sessions import Session
from p2pacs.pages.door import Door
from p2pacs.web.guard import LIVE_POLICY
from p2pacs.web.pages import Pages
from peer.pages.search.listing import StudyListing
from peer.pages.study.image_views import study_of
from peer.viewer.door import ViewerDoor


@frozen
class ViewerViews:
    """Forms of who may look."""

    pages: Pages
    door: Door
    listing: StudyListing
    viewer: ViewerDoor

    async def open(self, request: Request, session: Session, _form: FormData) -> Response:
        """A page that brings a ticket to the viewer, by itself where scripts run.

        It is a form of its own, and no redirect: that would tell the viewer's scripts the token
        of this form, or stand in the browser's history.

        Raises:
            StudyNotFoundError: no such study.
        """
        study = study_of(request)
        uid = (await self.listing.get(study)).uid
        origin = self.viewer.origin(request.url.hostname or "")
        ticket = ""
        if origin is not None:
            ticket = self.viewer.ticket(request.cookies[self.door.cookie("session")], uid)
        response = self.pages.page(
            request, "viewer.html", session=session, study=study, origin=origin, ticket=ticket
        )
        if origin is not None:
            policy = LIVE_POLICY.replace("form-action 'self'", f"form-action 'self' {origin}")
            response.headers["Content-Security-Policy"] = policy
        return response
