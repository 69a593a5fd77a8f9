import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from p2pacs.web.guard import API_POLICY, PAGE_POLICY, BodyLimit, SecurityHeaders


async def _length(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def _cached(_request: Request) -> Response:
    return PlainTextResponse("x", headers={"Cache-Control": "max-age=9"})


APP = Starlette(routes=[Route("/", _length, methods=["GET", "POST"]), Route("/cached", _cached)])


def _client(app: httpx.ASGITransport) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=app, base_url="http://test")


@pytest.mark.parametrize("policy", [PAGE_POLICY, API_POLICY])
async def test_every_answer_has_the_headers(policy: str) -> None:
    async with _client(httpx.ASGITransport(SecurityHeaders(APP, policy))) as client:
        for path in ("/", "/none"):
            headers = (await client.get(path)).headers
            assert headers["content-security-policy"] == policy
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cache-control"] == "no-store"
        assert (await client.get("/cached")).headers["cache-control"] == "max-age=9"
    assert "unsafe" not in policy
    assert "script-src" not in policy


async def test_long_bodies_are_refused() -> None:
    async with _client(httpx.ASGITransport(BodyLimit(APP, 10))) as client:
        assert (await client.post("/", content=b"0123456789")).text == "10"
        answer = await client.post("/", content=b"0123456789a")
        assert answer.status_code == 413
        assert "longer than 10 bytes" in answer.text
