"""The page that everybody sees first."""

from __future__ import annotations

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from p2pacs.accounts.sessions import Session
from p2pacs.web.pages import Pages


@frozen
class StartViews:
    """Pages of somebody who is signed in."""

    pages: Pages

    async def start(self, request: Request, session: Session) -> Response:
        """Where people land."""
        return self.pages.page(request, "start.html", session=session)
