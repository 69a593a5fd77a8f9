"""The administrator's pages as one ASGI application: routes and what stands before them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from broker.config import WebSettings
from broker.database.db import BrokerDatabase
from broker.members.admin_actions import AdminActions
from broker.members.audit import utc
from broker.pages.certificate import host_names
from broker.pages.door import Door
from broker.pages.member_views import MemberViews
from broker.pages.shown_tokens import ShownTokens
from broker.pages.views import Views
from p2pacs.accounts.passwords import ARGON2ID, Passwords
from p2pacs.units import format_limit
from p2pacs.web.answers import error_handlers
from p2pacs.web.guard import BodyLimit, KnownHosts, SecurityHeaders
from p2pacs.web.pages import Pages, static_files
from p2pacs.web.proxies import BehindProxies

_TEMPLATES: Final = Path(__file__).parent / "templates"
_FORM_BYTES: Final = 32 * 1024


def make_app(
    database: BrokerDatabase,
    actions: AdminActions,
    settings: WebSettings,
    passwords: Passwords = ARGON2ID,
    came: Callable[[str], object] = lambda _address: None,
) -> Starlette:
    """The application.

    Args:
        database: the broker's.
        actions: what an administrator does.
        settings: of the pages; where browsers come by HTTPS, cookies are marked so.
        passwords: how they are hashed.
        came: told from which network addresses come those who are signed in.
    """
    pages = Pages(_TEMPLATES, base="base.html", network=actions.authority.name)
    pages.filter(minute=_minute, utc=_utc, rate=format_limit)
    door = Door.of(database, pages, settings, passwords, came)
    tokens = ShownTokens()
    views = Views(database, actions, pages, tokens)
    one = MemberViews(database, actions, pages, tokens)
    member = "/members/{address}"
    return Starlette(
        routes=[
            Route("/", _home),
            Route("/login", door.ask, methods=["GET"]),
            Route("/login", door.sign_in, methods=["POST"]),
            Route("/logout", door.sign_out, methods=["POST"]),
            Route("/members", door.shows(views.members), methods=["GET"]),
            Route("/members", door.changes(views.register), methods=["POST"]),
            Route("/members/new", door.shows(views.new), methods=["GET"]),
            Route(member, door.shows(one.show), methods=["GET"]),
            Route(f"{member}/token", door.shows(one.token), methods=["GET"]),
            Route(f"{member}/token", door.changes(one.new_token), methods=["POST"]),
            Route(f"{member}/token/away", door.changes(one.put_away), methods=["POST"]),
            Route(f"{member}/read", door.changes(one.read), methods=["POST"]),
            Route(f"{member}/correct", door.changes(one.correct), methods=["POST"]),
            Route(f"{member}/delete", door.changes(one.remove), methods=["POST"]),
            Route(f"{member}/revoke", door.changes(one.revoke), methods=["POST"]),
            Route("/audit", door.shows(views.trail), methods=["GET"]),
            Route("/audit", door.changes(views.search), methods=["POST"]),
            static_files(),
            Route("/{path:path}", door.shows(views.nowhere), methods=["GET", "POST"]),
        ],
        middleware=[
            Middleware(BehindProxies, proxies=settings.proxies),
            Middleware(SecurityHeaders),
            Middleware(
                KnownHosts,
                render=pages.error,
                names=host_names(settings),
                setting="web.hosts in broker.toml",
            ),
            Middleware(BodyLimit, limit=_FORM_BYTES),
        ],
        exception_handlers=error_handlers(pages.error),
    )


async def _home(_request: Request) -> Response:
    return RedirectResponse("/members", status_code=303)


def _minute(time: int | None) -> str:
    """A time for people: to the minute."""
    return "never" if time is None else utc(time)[:16].replace("T", " ")


def _utc(time: int | None) -> str:
    """The same, naming the zone."""
    return "never" if time is None else f"{_minute(time)} UTC"
