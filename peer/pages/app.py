"""The hospital's pages as one ASGI application: routes, navigation and what stands before them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from starlette.applications import Starlette
from starlette.routing import Route

from p2pacs.accounts.passwords import ARGON2ID
from p2pacs.accounts.sessions import Session
from p2pacs.accounts.sign_in import Checker
from p2pacs.accounts.tables import AccountsDatabase
from p2pacs.languages import _
from p2pacs.pages.account import AccountViews
from p2pacs.pages.app import guarded_app
from p2pacs.pages.door import Door
from p2pacs.pages.navigation import Way
from p2pacs.settings import WebSettings
from p2pacs.web.guard import LIVE_POLICY
from p2pacs.web.pages import Pages
from peer.accounts.rights import USER_RIGHTS
from peer.accounts.trail import note, note_sign_in
from peer.pages.navigation import ACCOUNTS, NAVIGATION
from peer.pages.users import UserViews
from peer.pages.views import StartViews

_TEMPLATES: Final = Path(__file__).parent / "templates"


class Content(Protocol):
    """What is behind the door (`peer.pages.content.PagesContent`)."""

    def routes(self, door: Door, pages: Pages) -> Sequence[Route]:
        """All pages and forms."""

    def signed_out(self, session: Session) -> None:
        """What its open pages are shown by themselves ends."""


def make_pages(
    hospital: str,
    database: AccountsDatabase,
    settings: WebSettings,
    content: Content | None = None,
    *,
    names: Sequence[str] = (),
    realm: str = "",
    passwords: Checker = ARGON2ID,
    came: Callable[[str], object] = lambda _address: None,
) -> Starlette:
    """The application.

    Args:
        hospital: what the peer is called.
        database: with the accounts.
        settings: of the pages.
        content: what they show; None: nothing but who is signed in.
        names: host names that are answered to.
        realm: tells the cookies from those of other pages on this host.
        passwords: how they are hashed.
        came: told from which network addresses come those who are signed in.
    """
    pages = _pages_of(hospital, NAVIGATION if content is not None else (ACCOUNTS,))
    door = Door.of(
        database,
        pages,
        settings,
        rights=USER_RIGHTS,
        record=note_sign_in,
        passwords=passwords,
        came=came,
        left=content.signed_out if content is not None else lambda _session: None,
        realm=realm,
    )
    start = door.shows(StartViews(pages, NAVIGATION if content is not None else ()).start, None)
    users = UserViews(door, passwords)
    account = AccountViews(door, note, passwords, issuer=f"p2pacs {hospital}")
    return guarded_app(
        door,
        [
            Route("/", start, methods=["GET"]),
            *(content.routes(door, pages) if content is not None else ()),
            *users.routes(),
            *account.routes(),
        ],
        names=names,
        proxies=settings.proxies,
        setting="web.hosts in peer.toml",
        policy=LIVE_POLICY,
    )


def _pages_of(hospital: str, navigation: Sequence[Way]) -> Pages:
    """The templates, with what all of them may say."""
    return Pages(
        _TEMPLATES,
        base="base.html",
        hospital=hospital,
        about=lambda: _("Pages of %(hospital)s.", hospital=hospital),
        navigation=navigation,
    )
