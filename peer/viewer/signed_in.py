"""What stands before the viewer's origin where people sign in: the ticket, and the cookie."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from p2pacs.dicomweb.server.requests import CALLER, ROOT
from p2pacs.errors import ForbiddenError
from p2pacs.pages.forms import read_form, text_of
from p2pacs.web.answers import answer_to, json_answer
from peer.viewer.door import ViewerDoor
from peer.viewer.site import STUDY

OPEN: Final = "/open"
"""Where a browser brings its ticket."""

_REFUSED: Final = "open the study from the hospital's pages: here is nobody signed in"


def viewer_cookie(door: ViewerDoor, realm: str) -> str:
    """The name of the cookie of the viewer's origin: browsers do not tell ports apart."""
    return ("__Host-" if door.secure else "") + f"viewer-{realm}"


def give_cookie(response: Response, door: ViewerDoor, realm: str, cookie: str) -> None:
    """Have a browser keep the cookie of the viewer's origin, until it is closed."""
    response.set_cookie(
        viewer_cookie(door, realm),
        cookie,
        httponly=True,
        samesite="strict",
        secure=door.secure,
        path="/",
    )


def address_of(study: str) -> str:
    """Where the viewer shows a study (UID), below its origin."""
    return f"/viewer?{urlencode({STUDY: study})}"


class SignInByTicket:
    """Answers the form that brings a ticket."""

    def __init__(self, door: ViewerDoor, realm: str) -> None:
        self._door = door
        self._realm = realm

    async def __call__(self, request: Request) -> Response:
        """A cookie for the ticket, and on to the study.

        Raises:
            ForbiddenError: the ticket is none (any more).
        """
        form = await read_form(request)
        cookie, study = await self._door.admit(text_of(form, "ticket"))
        response = RedirectResponse(address_of(study), status_code=303)
        give_cookie(response, self._door, self._realm, cookie)
        return response


class ViewerGuard:
    """Lets who came with a ticket to the application, and tells it who that is."""

    def __init__(self, app: ASGIApp, door: ViewerDoor, realm: str) -> None:
        """Wrap an application.

        Args:
            app: the application.
            door: knows tickets and cookies.
            realm: tells the cookie from those of other peers on the same host.
        """
        self._app = app
        self._door = door
        self._realm = realm

    async def __call__(  # noqa: D102 - the ASGI call
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        request = Request(scope)
        cookie = request.cookies.get(viewer_cookie(self._door, self._realm), "")
        session = await self._door.reader(cookie)
        if session is None:
            await _refuse(request)(scope, receive, send)
            return
        scope.setdefault("state", {})[CALLER] = session.account
        await self._app(scope, receive, send)


def _refuse(request: Request) -> Response:
    error = ForbiddenError(_REFUSED)
    if request.url.path.startswith(f"{ROOT}/"):
        return json_answer(request, answer_to(error))
    return PlainTextResponse(f"{_REFUSED}.", error.http_status)
