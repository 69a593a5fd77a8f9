"""The way from a study's page to the viewer, which has an origin of its own."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import Final

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
from peer.viewer.signed_in import address_of, give_cookie, viewer_cookie

AHEAD: Final = (
    '{"prerender": [{"where": {"selector_matches": "a[data-viewer]"}, "eagerness": "immediate"}]}'
)
"""Speculation rules (HTML 7.6): the browser may load the viewer in a page that nobody sees, while
somebody reads the study's page, and shows that one at the click. Browsers that save power, memory
or data do not, and those that do not know the rules pass them over."""

_AHEAD_POLICY: Final = LIVE_POLICY.replace(
    "script-src 'self'",
    f"script-src 'self' 'sha256-{b64encode(sha256(AHEAD.encode()).digest()).decode()}'",
)


@frozen
class WayToViewer:
    """The link on a study's page, where the viewer is at the same host.

    The browser then has the viewer's cookie with the page: the click is answered by the viewer
    itself, without a ticket, and the browser may load it ahead. Elsewhere `ViewerViews` has a form.
    """

    door: Door
    viewer: ViewerDoor
    right: str
    """To look at images."""

    def link(self, request: Request, session: Session, uid: str) -> str | None:
        """Where the viewer shows a study; None if there is no such way, or not for this account.

        Args:
            request: for the study's page.
            session: of who asks for it.
            uid: of the study.
        """
        host, secure = request.url.hostname or "", request.url.scheme == "https"
        if not session.may(self.right):
            return None
        if not self.viewer.shares_cookies(host, secure=secure):
            return None
        return f"{self.viewer.origin(host)}{address_of(uid)}"

    async def let_in(self, request: Request, response: Response) -> None:
        """Give the browser the viewer's cookie, and leave to load it ahead.

        Raises:
            ForbiddenError: the session ended meanwhile.
        """
        given = request.cookies.get(viewer_cookie(self.viewer, self.door.realm), "")
        token = request.cookies[self.door.cookie("session")]
        cookie = await self.viewer.cookie(given, token)
        if cookie != given:
            give_cookie(response, self.viewer, self.door.realm, cookie)
        response.headers["Content-Security-Policy"] = _AHEAD_POLICY


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
