"""The viewer's origin as one ASGI application: its files, and DICOMweb beside them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from p2pacs.dicomweb.server.app import make_dicomweb
from p2pacs.dicomweb.server.backend import DicomwebBackend
from p2pacs.dicomweb.server.clients import AllowedClients
from p2pacs.dicomweb.server.requests import ROOT
from p2pacs.web.answers import Answer, error_handlers, json_answer
from p2pacs.web.guard import BodyLimit, KnownHosts, SecurityHeaders
from peer.viewer.site import ViewerSite


class ViewerOrigin:
    """Hands each request to DICOMweb, or to the viewer's site."""

    def __init__(self, dicomweb: ASGIApp, site: ASGIApp) -> None:
        self._dicomweb = dicomweb
        self._site = site

    async def __call__(  # noqa: D102 - the ASGI call
        self, scope: Scope, receive: Receive, send: Send
    ) -> None:
        path = scope.get("path", "")
        of_dicomweb = path == ROOT or path.startswith(f"{ROOT}/")
        await (self._dicomweb if of_dicomweb else self._site)(scope, receive, send)


def make_viewer(
    folder: Path,
    backend: DicomwebBackend,
    *,
    allowed: Callable[[str], bool],
    names: Collection[str] = (),
) -> ViewerOrigin:
    """The application.

    Args:
        folder: where the viewer is installed.
        backend: what DICOMweb answers from.
        allowed: whether an address may ask.
        names: host names of this machine that browsers may use.
    """
    site = Starlette(
        routes=[Route("/{path:path}", ViewerSite(folder).__call__, methods=["GET"])],
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(
                KnownHosts,
                render=json_answer,
                names=names,
                setting="gateway.dicomweb_names in peer.toml",
            ),
            Middleware(AllowedClients, allowed=allowed),
            Middleware(BodyLimit),
        ],
        exception_handlers=error_handlers(_plain),
    )
    return ViewerOrigin(make_dicomweb(backend, allowed=allowed, names=names), site)


def _plain(_request: Request, answer: Answer) -> Response:
    return PlainTextResponse(answer.text, status_code=answer.status)
