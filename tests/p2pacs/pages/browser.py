"""A browser without a server: httpx talks ASGI to pages, and fills in their forms."""

import re

import httpx
from attrs import frozen
from starlette.applications import Starlette

PASSWORD = "a password of some length"


@frozen
class Browser:
    """Sends forms as a browser does: with their hidden fields."""

    http: httpx.AsyncClient

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(path)

    async def send(self, form: str, action: str, **fields: str) -> httpx.Response:
        """The form on one page, sent to where it goes."""
        page = await self.http.get(form)
        return await self.http.post(action, data={"csrf": csrf_of(page), **fields})

    async def sign_in(self, name: str = "admin", password: str = PASSWORD) -> httpx.Response:
        return await self.send("/login", "/login", name=name, password=password)


def csrf_of(page: httpx.Response) -> str:
    """The token in a form of a page."""
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


def client(
    app: Starlette, host: str, address: str = "10.0.0.1", *, secure: bool = False
) -> httpx.AsyncClient:
    """From this network address, with no cookies yet."""
    transport = httpx.ASGITransport(app, client=(address, 50000))
    return httpx.AsyncClient(
        transport=transport, base_url=f"{'https' if secure else 'http'}://{host}"
    )
