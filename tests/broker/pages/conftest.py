"""The administrator's pages without a server."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from attrs import frozen

from broker.config import AdminWebSettings, BrokerSettings
from broker.members.admin_actions import AdminActions
from broker.pages.app import make_app
from p2pacs.accounts.people import add_account
from tests.broker.conftest import Ground
from tests.p2pacs.accounts.conftest import CHEAP
from tests.p2pacs.pages.browser import PASSWORD
from tests.p2pacs.pages.browser import Browser as PagesBrowser
from tests.p2pacs.pages.browser import client as pages_client

__all__ = ["PASSWORD", "Browser", "client", "settings"]


def settings(**web: object) -> BrokerSettings:
    return BrokerSettings.model_validate(
        {
            "pacs": "dimse://PACS@127.0.0.1:104",
            "listen": ["127.0.0.1:4710"],
            "web": {"listen": "127.0.0.1:8443", "hosts": ["broker"], **web},
        }
    )


@frozen
class Browser(PagesBrowser):
    """One that knows what the broker stands on."""

    ground: Ground


def client(
    ground: Ground,
    web: AdminWebSettings | None = None,
    address: str = "10.0.0.1",
    came: Callable[[str], object] = lambda _address: None,
) -> httpx.AsyncClient:
    whole = settings()
    actions = AdminActions(ground.authority, ground.identity.address, whole)
    app = make_app(ground.database, actions, web or whole.web, CHEAP, came)
    return pages_client(app, "broker", address, secure=web is not None and web.secure)


@pytest.fixture
async def browser(ground: Ground, tmp_path: Path) -> AsyncIterator[Browser]:
    """Nobody is signed in yet."""
    await ground.database.run(lambda c: add_account(c, "admin", PASSWORD, "administrator", CHEAP))
    async with client(ground) as http:
        yield Browser(http, ground)


@pytest.fixture
async def admin(browser: Browser) -> Browser:
    """The administrator is signed in."""
    answer = await browser.sign_in()
    assert answer.headers["location"] == "/"
    return browser
