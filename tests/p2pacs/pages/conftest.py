"""Pages of no program: two that are shown and one form, behind a door."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from attrs import define, field
from sqlalchemy import Connection
from starlette.applications import Starlette
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from p2pacs.accounts.one_time import STEP
from p2pacs.accounts.people import add_account
from p2pacs.accounts.sessions import Session
from p2pacs.accounts.sign_in import SignInOutcome
from p2pacs.pages.account import AccountViews
from p2pacs.pages.app import guarded_app
from p2pacs.pages.door import Door
from p2pacs.settings import WebSettings
from p2pacs.web.pages import Pages
from tests.p2pacs.accounts.conftest import CHEAP, MemoryDatabase, database
from tests.p2pacs.pages.browser import PASSWORD, Browser, client

__all__ = ["database"]

RIGHTS = {"administrator": frozenset({"see", "change"}), "auditor": frozenset({"see"})}


@define
class Site:
    """Its database, and what its door said."""

    database: MemoryDatabase
    settings: WebSettings = field(
        factory=lambda: WebSettings.model_validate({"listen": "127.0.0.1:1"})
    )
    realm: str = ""
    told: list[SignInOutcome] = field(factory=list)
    came: list[str] = field(factory=list)
    changed: list[str] = field(factory=list)
    step: int = 1_000_000
    """Half minutes since 1970."""
    noted: list[tuple[str, str, str]] = field(factory=list)

    def door(self) -> Door:
        return Door.of(
            self.database,
            Pages(Path(), about=lambda: "Some pages."),
            self.settings,
            rights=RIGHTS,
            record=self._record,
            passwords=CHEAP,
            came=self.came.append,
            realm=self.realm,
            clock=lambda: self.step * STEP * 1000,
        )

    def app(self) -> Starlette:
        door = self.door()

        async def peek(request: Request) -> Response:
            session = await door.peek(request)
            return PlainTextResponse("nobody" if session is None else session.account)

        account = AccountViews(door, self._note, CHEAP, issuer="somewhere")
        return guarded_app(
            door,
            [
                *account.routes(),
                Route("/", door.shows(self._show, "see"), methods=["GET"]),
                Route("/change", door.shows(self._show, "change"), methods=["GET"]),
                Route("/change", door.changes(self._change, "change"), methods=["POST"]),
                Route("/peek", peek, methods=["GET"]),
            ],
            names=["site"],
            proxies=self.settings.proxies,
            setting="web.hosts",
        )

    def client(self, address: str = "10.0.0.1") -> httpx.AsyncClient:
        """A browser of its own, with no cookies yet."""
        return client(self.app(), "site", address, secure=self.settings.secure_cookies)

    async def add(self, name: str, role: str = "administrator") -> None:
        await self.database.run(lambda c: add_account(c, name, PASSWORD, role, CHEAP))

    def _record(self, _connection: Connection, outcome: SignInOutcome) -> None:
        self.told.append(outcome)

    def _note(self, _connection: Connection, *said: str) -> None:
        who, what, detail = said
        self.noted.append((who, what, detail))

    async def _show(self, _request: Request, session: Session) -> Response:
        form = f'<input type="hidden" name="csrf" value="{session.csrf}">'
        return Response(f"{session.account}, {session.role}{form}", media_type="text/html")

    async def _change(self, _request: Request, session: Session, _form: FormData) -> Response:
        self.changed.append(session.account)
        return PlainTextResponse("changed")


@pytest.fixture
async def site(database: MemoryDatabase) -> Site:
    site = Site(database)
    await site.add("admin")
    return site


@pytest.fixture
async def browser(site: Site) -> AsyncIterator[Browser]:
    """Nobody is signed in yet."""
    async with site.client() as http:
        yield Browser(http)


@pytest.fixture
async def admin(browser: Browser) -> Browser:
    """The administrator is signed in."""
    assert (await browser.sign_in()).status_code == 303
    return browser
