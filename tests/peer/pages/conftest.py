"""The hospital's pages without a server, on a database of a peer."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from attrs import frozen

from p2pacs.accounts.people import add_account
from p2pacs.settings import WebSettings
from peer.accounts.rights import UserRole
from peer.db import PeerDatabase, open_database
from peer.pages.app import make_pages
from tests.p2pacs.accounts.conftest import CHEAP
from tests.p2pacs.pages.browser import PASSWORD, Browser, client


@frozen
class Hospital:
    """A peer's database, and browsers at its pages."""

    database: PeerDatabase

    def client(self, address: str = "10.0.0.1") -> httpx.AsyncClient:
        """A browser of its own, with no cookies yet."""
        settings = WebSettings.model_validate({"listen": "127.0.0.1:8444"})
        app = make_pages("North General", self.database, settings, names=["pages"], passwords=CHEAP)
        return client(app, "pages", address)

    async def add(self, name: str, role: UserRole) -> None:
        await self.database.run(lambda c: add_account(c, name, PASSWORD, role, CHEAP))


@pytest.fixture
async def hospital(tmp_path: Path) -> AsyncIterator[Hospital]:
    """One account of each role, called like it."""
    async with open_database(tmp_path / "peer.db") as database:
        hospital = Hospital(database)
        for role in UserRole:
            await hospital.add(role, role)
        yield hospital


@pytest.fixture
async def browser(hospital: Hospital) -> AsyncIterator[Browser]:
    """Nobody is signed in yet."""
    async with hospital.client() as http:
        yield Browser(http)
