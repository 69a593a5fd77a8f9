"""The DICOMweb services as one ASGI application: routes and what stands before them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from p2pacs.dicomweb.server.backend import DicomwebBackend
from p2pacs.dicomweb.server.bulkdata import Bulkdata
from p2pacs.dicomweb.server.clients import STORES, AllowedClients
from p2pacs.dicomweb.server.frames import Frames
from p2pacs.dicomweb.server.openapi import answer_description
from p2pacs.dicomweb.server.rendered import Rendered
from p2pacs.dicomweb.server.requests import ROOT
from p2pacs.dicomweb.server.retrieve import MetadataHandler, RetrieveHandler
from p2pacs.dicomweb.server.search import SearchHandler
from p2pacs.dicomweb.server.store import StoreHandler
from p2pacs.dicomweb.server.store_backend import StoreBackend
from p2pacs.web.answers import answer_to, error_handlers, json_answer
from p2pacs.web.guard import API_POLICY, BodyLimit, KnownHosts, SecurityHeaders

_STUDY: Final = ROOT + "/studies/{study}"
_SERIES: Final = _STUDY + "/series/{series}"
_INSTANCE: Final = _SERIES + "/instances/{instance}"


def make_dicomweb(
    backend: DicomwebBackend,
    *,
    allowed: Callable[[str], bool],
    names: Collection[str] = (),
    store: StoreBackend | None = None,
    may_store: Callable[[str], bool] | None = None,
) -> Starlette:
    """The application.

    Args:
        backend: what it answers from.
        allowed: whether an address may ask.
        names: host names of this machine that clients may use.
        store: keeps what is stored; None: nothing may be.
        may_store: whether an address may store.
    """
    storing = StoreHandler(store)
    return Starlette(
        routes=[
            *_searches(backend),
            *_retrievals(backend),
            *_frames(backend),
            Route(ROOT + "/openapi.json", answer_description, methods=["GET"]),
            Route(ROOT + "/studies", storing.__call__, methods=[STORES]),
            Route(_STUDY, storing.__call__, methods=[STORES]),
        ],
        middleware=[
            Middleware(SecurityHeaders, policy=API_POLICY),
            Middleware(
                KnownHosts,
                render=json_answer,
                names=names,
                setting="gateway.dicomweb_names in peer.toml",
            ),
            Middleware(AllowedClients, allowed=allowed, may_store=may_store),
            Middleware(BodyLimit, streamed=_is_stored),
        ],
        exception_handlers={**error_handlers(json_answer), 404: _nowhere, 405: _no_such_method},
    )


def _searches(backend: DicomwebBackend) -> list[BaseRoute]:
    paths = {
        "STUDY": (ROOT + "/studies",),
        "SERIES": (ROOT + "/series", _STUDY + "/series"),
        "IMAGE": (ROOT + "/instances", _STUDY + "/instances", _SERIES + "/instances"),
    }
    return [
        Route(path, SearchHandler(backend, level).__call__, methods=["GET"])
        for level, those in paths.items()
        for path in those
    ]


def _retrievals(backend: DicomwebBackend) -> list[BaseRoute]:
    retrieve, metadata = RetrieveHandler(backend), MetadataHandler(backend)
    return [
        route
        for path in (_STUDY, _SERIES, _INSTANCE)
        for route in (
            Route(path, retrieve.__call__, methods=["GET"]),
            Route(path + "/metadata", metadata.__call__, methods=["GET"]),
        )
    ]


def _frames(backend: DicomwebBackend) -> list[BaseRoute]:
    frames = _INSTANCE + "/frames/{frames}"
    rendered, thumbnail = Rendered(backend), Rendered(backend, thumbnail=True)
    handlers: dict[str, Callable[[Request], Awaitable[Response]]] = {
        frames: Frames(backend).__call__,
        frames + "/rendered": rendered.__call__,
        frames + "/thumbnail": thumbnail.__call__,
        _INSTANCE + "/bulkdata/{path:path}": Bulkdata(backend).__call__,
        _INSTANCE + "/rendered": rendered.__call__,
        _INSTANCE + "/thumbnail": thumbnail.__call__,
    }
    return [Route(path, handler, methods=["GET"]) for path, handler in handlers.items()]


def _is_stored(scope: Scope) -> bool:
    return bool(scope["method"] == STORES)


async def _nowhere(request: Request, _error: Exception) -> Response:
    """Of a path that is none of the services'; what is not in the catalogue says so itself."""
    text = f"Nothing is here: the DICOMweb services are {ROOT}/studies and what is below."
    return json_answer(request, answer_to(HTTPException(404, text)))


async def _no_such_method(request: Request, error: Exception) -> Response:
    text = "This can only be read: by GET or HEAD. POST stores at /studies and /studies/UID."
    response = json_answer(request, answer_to(HTTPException(405, text)))
    if isinstance(error, HTTPException):
        response.headers.update(error.headers or {})
    return response
