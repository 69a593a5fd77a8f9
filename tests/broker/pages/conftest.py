"""The administrator's pages without a server: httpx talks ASGI to them."""

import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from attrs import frozen

from broker.config import BrokerSettings, WebSettings
from broker.members.admin_actions import AdminActions
from broker.pages.app import make_app
from p2pacs.accounts.passwords import set_password
from tests.broker.conftest import Ground
from tests.p2pacs.accounts.conftest import CHEAP

PASSWORD = "a password of some length"


def settings(**web: object) -> BrokerSettings:
    return BrokerSettings.model_validate(
        {
            "pacs": "dimse://PACS@127.0.0.1:104",
            "listen": ["127.0.0.1:4710"],
            "web": {"listen": "127.0.0.1:8443", "hosts": ["broker"], **web},
        }
    )


@frozen
class Browser:
    """Sends forms as a browser does: with their hidden fields."""

    http: httpx.AsyncClient
    ground: Ground

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(path)

    async def send(self, form: str, action: str, **fields: str) -> httpx.Response:
        page = await self.http.get(form)
        csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert csrf is not None, page.text
        return await self.http.post(action, data={"csrf": csrf[1], **fields})

    async def sign_in(self, name: str = "admin", password: str = PASSWORD) -> httpx.Response:
        return await self.send("/login", "/login", name=name, password=password)


def client(
    ground: Ground,
    web: WebSettings | None = None,
    address: str = "10.0.0.1",
    came: Callable[[str], object] = lambda _address: None,
) -> httpx.AsyncClient:
    whole = settings()
    actions = AdminActions(ground.authority, ground.identity.address, whole)
    app = make_app(ground.database, actions, web or whole.web, CHEAP, came)
    transport = httpx.ASGITransport(app, client=(address, 50000))
    scheme = "https" if web and web.secure else "http"
    return httpx.AsyncClient(transport=transport, base_url=f"{scheme}://broker")


@pytest.fixture
async def browser(ground: Ground, tmp_path: Path) -> AsyncIterator[Browser]:
    """Nobody is signed in yet."""
    await ground.database.run(lambda c: set_password(c, "admin", PASSWORD, CHEAP))
    async with client(ground) as http:
        yield Browser(http, ground)


@pytest.fixture
async def admin(browser: Browser) -> Browser:
    """The administrator is signed in."""
    answer = await browser.sign_in()
    assert answer.headers["location"] == "/members"
    return browser
