"""The page that everybody sees first."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from p2pacs.accounts.sessions import Session
from p2pacs.pages.navigation import Way
from p2pacs.web.pages import Pages


@frozen
class StartViews:
    """Pages of somebody who is signed in."""

    pages: Pages
    navigation: Sequence[Way] = ()

    async def start(self, request: Request, session: Session) -> Response:
        """Where people land: at the first place that is for them."""
        for way in self.navigation:
            if session.may(way.right):
                return RedirectResponse(way.path, status_code=303)
        return self.pages.page(request, "start.html", session=session)
