import httpx
import pytest
import trio
import trio.lowlevel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send
from trio.testing import MockClock

from p2pacs.web.answers import json_answer
from p2pacs.web.guard import (
    API_POLICY,
    PAGE_POLICY,
    BodyLimit,
    KnownHosts,
    SecurityHeaders,
    host_of,
)


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


async def test_an_answer_may_take_longer_than_a_body(
    autojump_clock: MockClock,
) -> None:
    """WADO-RS of what took 15 s to come was cut off after its head: the body of the request, which
    nobody had read yet, counted as late."""
    heard = list[str]()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await trio.sleep(60)
        heard.append((await receive())["type"])
        with trio.move_on_after(1000):
            heard.append((await receive())["type"])
        await PlainTextResponse("late")(scope, receive, send)

    coming = iter([{"type": "http.request", "body": b""}])

    async def receive() -> Message:
        await trio.lowlevel.checkpoint()
        if (message := next(coming, None)) is None:
            await trio.sleep_forever()
        return message or {}

    said = list[Message]()

    async def send(message: Message) -> None:
        await trio.lowlevel.checkpoint()
        said.append(message)

    scope = {"type": "http", "path": "/", "method": "GET", "headers": []}
    await BodyLimit(slow, seconds=10)(scope, receive, send)
    assert heard == ["http.request"]
    assert said[0]["status"] == 200


async def nobody(_message: Message) -> None:
    await trio.lowlevel.checkpoint()


async def test_a_body_may_not_dawdle(autojump_clock: MockClock) -> None:
    async def receive() -> Message:
        await trio.sleep(4)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            await receive()

    scope = {"type": "http", "path": "/", "method": "POST", "headers": []}
    with pytest.raises(HTTPException) as caught:
        await BodyLimit(read, seconds=10)(scope, receive, nobody)
    assert caught.value.status_code == 408
    assert trio.current_time() <= 10


@pytest.mark.parametrize(
    ("header", "host"),
    [
        (b"Broker.Example:8443", "broker.example"),
        (b"broker.example.", "broker.example"),
        (b"[fd00::1]:80", "fd00::1"),
        (b" 10.0.0.1 ", "10.0.0.1"),
        (b"", ""),
        (b"[", ""),
        (b"[::1]evil.example", ""),
        (b"[127.2.0.1]evil.example", ""),
        (b"[127.0.0.1]", ""),
        (b"[::1]:80:90", ""),
        (b"[::1", ""),
        (b"::1", ""),
        (b"broker.example:80x", ""),
        (b"[::1]:", "::1"),
        (b"\xff", "\xff"),
    ],
)
def test_hosts_of_headers(header: bytes, host: str) -> None:
    assert host_of(header) == host


async def _ask(*hosts: bytes) -> int:
    """The status of a request with these Host headers."""
    statuses: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(b"host", host) for host in hosts],
    }
    app = KnownHosts(APP, json_answer, names=["Broker.example"])
    await app(scope, receive, send)
    (status,) = statuses
    return status


@pytest.mark.parametrize(
    ("hosts", "status"),
    [
        ([b"broker.example"], 200),
        ([b"localhost:1"], 200),
        ([b"203.0.113.7:1"], 200),
        ([b"[2001:db8::1]"], 200),
        ([b"evil.example"], 421),
        ([b"[::1]evil.example"], 421),
        ([b"[127.2.0.1]evil.example"], 421),
        ([b"127.0.0.1:80@evil.example"], 421),
        ([b"evil.broker.example"], 421),
        ([b"2130706433"], 421),
        ([], 421),
        ([b"broker.example", b"evil.example"], 421),
    ],
)
async def test_only_known_hosts_are_answered(hosts: list[bytes], status: int) -> None:
    assert await _ask(*hosts) == status


async def test_websockets_are_refused() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/", "headers": [(b"host", b"127.0.0.1")]}
    await KnownHosts(APP, json_answer)(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]
