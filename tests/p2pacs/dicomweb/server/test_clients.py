import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Scope

from p2pacs.dicomweb.server.clients import AllowedClients


async def _page(_request: Request) -> Response:
    return PlainTextResponse("studies")


def client(address: str, *allowed: str) -> httpx.AsyncClient:
    app = AllowedClients(Starlette(routes=[Route("/{path:path}", _page)]), allowed.__contains__)
    transport = httpx.ASGITransport(app, client=(address, 50_000))
    return httpx.AsyncClient(transport=transport, base_url="http://peer")


async def test_who_is_allowed_reads() -> None:
    async with client("10.0.0.7", "10.0.0.7") as http:
        answer = await http.get("/studies")
        assert (answer.status_code, answer.text) == (200, "studies")


@pytest.mark.parametrize("path", ["/studies", "/", "/studies/1.2.3/series"])
async def test_who_is_not_is_told_which_setting_lets_in_and_nothing_else(path: str) -> None:
    async with client("10.0.0.8", "10.0.0.7") as http:
        answer = await http.get(path, headers={"x-forwarded-for": "10.0.0.7"})
        assert answer.status_code == 403
        assert "gateway.dicomweb_clients" in answer.text
        assert "1.2.3" not in answer.text
        assert "10.0.0" not in answer.text


async def _call(scope: Scope) -> tuple[list[str], list[Message]]:
    """Which kinds of calls came through, and what was answered."""
    through: list[str] = []
    said: list[Message] = []

    async def app(scope: Scope, _receive: object, _send: object) -> None:
        through.append(scope["type"])

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        said.append(message)

    await AllowedClients(app, bool)(scope, receive, send)
    return through, said


@pytest.mark.parametrize("who", [{}, {"client": None}])
async def test_who_has_no_address_is_nobody(who: Scope) -> None:
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    through, said = await _call({**scope, **who})
    assert through == []
    assert said[0]["status"] == 403


async def test_the_life_of_the_server_is_nobodys_request() -> None:
    assert await _call({"type": "lifespan"}) == (["lifespan"], [])
