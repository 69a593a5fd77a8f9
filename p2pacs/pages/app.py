"""Pages as one ASGI application: what stands before every page, of broker and hospital alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from p2pacs.accounts.sessions import Session
from p2pacs.languages import _
from p2pacs.pages.door import Door
from p2pacs.units import IPNetwork
from p2pacs.web.answers import error_handlers
from p2pacs.web.guard import PAGE_POLICY, BodyLimit, KnownHosts, SecurityHeaders
from p2pacs.web.language import Language
from p2pacs.web.pages import static_files
from p2pacs.web.proxies import BehindProxies

_FORM_BYTES: Final = 32 * 1024


def guarded_app(
    door: Door,
    routes: Sequence[BaseRoute],
    *,
    names: Collection[str],
    proxies: Sequence[IPNetwork],
    setting: str,
    policy: str = PAGE_POLICY,
    larger: Mapping[str, int] = MappingProxyType({}),
) -> Starlette:
    """The application: the door's routes, these, static files, and 404 for all others.

    Args:
        door: of the pages.
        routes: behind it.
        names: host names that are answered to, besides ``localhost`` and bare addresses.
        proxies: networks of reverse proxies before the pages.
        setting: where another name can be added, for who is refused.
        policy: the Content Security Policy.
        larger: by path, how many bytes a form may have where files are sent.
    """
    return Starlette(
        routes=[
            *door.routes(),
            *routes,
            static_files(),
            Route("/{path:path}", door.shows(_nowhere, None), methods=["GET", "POST"]),
        ],
        middleware=[
            Middleware(BehindProxies, proxies=proxies),
            Middleware(SecurityHeaders, policy=policy),
            Middleware(Language, cookie=door.cookie("language")),
            Middleware(KnownHosts, render=door.pages.error, names=names, setting=setting),
            Middleware(BodyLimit, limit=_FORM_BYTES, larger=larger),
        ],
        exception_handlers=error_handlers(door.pages.error),
    )


async def _nowhere(_request: Request, _session: Session) -> Response:
    """Who is signed in keeps the navigation."""
    raise HTTPException(404, _("There is no such page."))
