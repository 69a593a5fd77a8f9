"""The viewer's origin as one ASGI application: its files, and DICOMweb beside them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from p2pacs.dicomweb.server.app import make_dicomweb
from p2pacs.dicomweb.server.backend import DicomwebBackend
from p2pacs.dicomweb.server.clients import AllowedClients
from p2pacs.dicomweb.server.requests import ROOT
from p2pacs.web.answers import Answer, error_handlers, json_answer
from p2pacs.web.guard import BodyLimit, KnownHosts, SecurityHeaders
from peer.viewer.door import ViewerDoor
from peer.viewer.signed_in import OPEN, SignInByTicket, ViewerGuard
from peer.viewer.site import BeginStudy, ViewerSite


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
    begin: BeginStudy = lambda _study, _caller: None,
    door: ViewerDoor | None = None,
    realm: str = "",
    measured: Callable[[ASGIApp], ASGIApp] = lambda app: app,
) -> ASGIApp:
    """The application.

    Args:
        folder: where the viewer is installed.
        backend: what DICOMweb answers from.
        allowed: whether an address may ask.
        names: host names of this machine that browsers may use.
        begin: see `ViewerSite`.
        door: lets in who is signed in at the hospital's pages, and nobody else; None: whom
            ``allowed`` lets in.
        realm: tells its cookie from those of other peers on this host.
        measured: counts requests of the DICOMweb services that it is given.
    """
    if door is not None:
        allowed = _everywhere
    known = Middleware(
        KnownHosts, render=json_answer, names=names, setting="gateway.dicomweb_names in peer.toml"
    )
    site = Starlette(
        routes=[Route("/{path:path}", ViewerSite(folder, begin).__call__, methods=["GET"])],
        middleware=[
            Middleware(SecurityHeaders),
            known,
            Middleware(AllowedClients, allowed=allowed),
            Middleware(BodyLimit),
        ],
        exception_handlers=error_handlers(_plain),
    )
    services = measured(make_dicomweb(backend, allowed=allowed, names=names))
    origin = ViewerOrigin(services, site)
    if door is None:
        return origin
    return Starlette(
        routes=[
            Route(OPEN, SignInByTicket(door, realm).__call__, methods=["POST"]),
            Mount("/", ViewerGuard(origin, door, realm)),
        ],
        middleware=[Middleware(SecurityHeaders), known, Middleware(BodyLimit)],
        exception_handlers=error_handlers(_plain),
    )


def _everywhere(_address: str) -> bool:
    return True


def _plain(_request: Request, answer: Answer) -> Response:
    return PlainTextResponse(answer.text, status_code=answer.status)
