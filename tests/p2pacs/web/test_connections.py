"""A real server on loopback under floods; time is virtual, sockets and descriptors are real.

127.0.0.1 is this machine, with places of its own; the rest of 127.0.0.0/8 are strangers.
"""

import ipaddress
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs
from trio.testing import MockClock

from p2pacs import limits
from p2pacs.errors import BusyError
from p2pacs.identity import certificates
from p2pacs.identity.authority import Authority
from p2pacs.units import Endpoint
from p2pacs.web.answers import error_handlers, json_answer
from p2pacs.web.body import body_sender
from p2pacs.web.connections import ServingTuning, WebConnection, web_admission, write_all
from p2pacs.web.guard import BODY_SECONDS, BodyLimit, KnownHosts
from p2pacs.web.serving import serve_web, web_context
from tests.waiting import settled

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is Linux's")

STRANGER = "127.0.0.2"
HALF_HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "
TUNING = ServingTuning(stuck=600.0)


asked: list[str] = []
"""The forms whose bodies the application waits for, or has."""


async def _hello(_request: Request) -> Response:
    return PlainTextResponse("hello")


async def _form(request: Request) -> Response:
    asked.append(request.url.path)
    return PlainTextResponse(str(len(await request.form())))


async def _endless(_request: Request) -> Response:
    async def zeros() -> AsyncIterator[bytes]:
        while True:
            yield bytes(65536)

    return StreamingResponse(zeros())


async def _streamed(_request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"hel"
        yield b"lo"

    return StreamingResponse(pieces())


class _Pieces(Response):
    """A body in pieces of one buffer; of which the length is told, or not."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"300000")] if "length" in scope["path"] else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        sender, buffer = body_sender(scope, send), bytearray(100_000)
        for letter in b"abc":
            buffer[:] = bytes([letter]) * len(buffer)
            await sender(memoryview(buffer))
        await send({"type": "http.response.body"})


async def _pieces(_request: Request) -> Response:
    return _Pieces()


APP = Starlette(
    routes=[
        Route("/", _hello, methods=["GET", "POST"]),
        Route("/streamed", _streamed),
        Route("/pieces", _pieces),
        Route("/pieces/length", _pieces),
        Route("/form", _form, methods=["POST"]),
        Route("/endless", _endless),
    ],
    middleware=[Middleware(KnownHosts, render=json_answer), Middleware(BodyLimit)],
    exception_handlers=error_handlers(json_answer),
)


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Endpoint]:
    async with trio.open_nursery() as nursery:

        async def start(*, task_status: trio.TaskStatus[Endpoint]) -> None:
            await serve_web(
                APP,
                Endpoint("127.0.0.1", 0),
                stop=trio.Event(),
                tls=tls,
                tuning=TUNING,
                task_status=task_status,
            )

        yield await nursery.start(start)
        nursery.cancel_scope.cancel()


async def connect(endpoint: Endpoint, source: str, said: bytes = b"") -> trio.SocketStream:
    client = trio.socket.socket()
    await client.bind((source, 0))
    await client.connect((endpoint.host, endpoint.port))
    stream = trio.SocketStream(client)
    if said:
        await stream.send_all(said)
    return stream


async def ask(endpoint: Endpoint, source: str) -> str:
    transport = httpx.AsyncHTTPTransport(local_address=source)
    async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=60) as client:
        return (await client.get(f"http://{endpoint}/")).text


async def ended(stream: trio.SocketStream) -> None:
    """Return once the server has closed this connection."""
    try:
        while await stream.receive_some():
            pass
    except trio.BrokenResourceError:
        pass


def test_proxies_have_places_of_their_own() -> None:
    networks = [ipaddress.ip_network("10.0.0.1/32"), ipaddress.ip_network("10.1.0.0/16")]
    admission = web_admission(networks)
    with ExitStack() as stack:
        for address, places in (
            ("10.0.0.1", limits.WEB_KNOWN),
            ("10.1.0.1", limits.WEB_STRANGERS_OF_ONE),
        ):
            for _ in range(places):
                stack.enter_context(admission.place(address, 0.0, lambda: None))
            with pytest.raises(BusyError):
                stack.enter_context(admission.place(address, 0.0, lambda: None))


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def test_half_heads_take_few_descriptors_and_nobody_elses_place(
    mock_clock: MockClock,
) -> None:
    async with serving() as endpoint, AsyncExitStack() as stack:
        before = descriptors()
        with capture_logs() as logs:
            for _ in range(300):
                stranger = await connect(endpoint, STRANGER, HALF_HEAD)
                stack.push_async_callback(trio.aclose_forcefully, stranger)
            assert await ask(endpoint, "127.0.0.3") == "hello"
            assert await ask(endpoint, "127.0.0.1") == "hello"
            await settled(lambda: descriptors() - before - 300 <= limits.WEB_STRANGERS_OF_ONE)
        assert [log["event"] for log in logs] == ["no place for a further connection"]


async def test_many_strangers_leave_room_for_those_of_this_machine(mock_clock: MockClock) -> None:
    async with serving() as endpoint, AsyncExitStack() as stack:
        before = descriptors()
        for number in range(200):
            stranger = await connect(endpoint, f"127.0.1.{number + 1}", HALF_HEAD)
            stack.push_async_callback(trio.aclose_forcefully, stranger)
        assert await ask(endpoint, "127.0.0.1") == "hello"
        await settled(lambda: descriptors() - before - 200 <= limits.WEB_STRANGERS)


async def test_who_has_gone_holds_no_place(mock_clock: MockClock) -> None:
    """Without waiting for the time in which it might have asked for something else."""
    del mock_clock  # no time passes
    admission = web_admission()
    async with trio.open_nursery() as nursery:
        serve = partial(serve_web, admission=admission, stop=trio.Event())
        where = await nursery.start(serve, APP, Endpoint("127.0.0.1", 0))
        for said in (b"", HALF_HEAD, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"):
            stream = await trio.open_tcp_stream("127.0.0.1", where.port)
            await stream.send_all(said)
            if said.endswith(b"\r\n\r\n"):
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
            await settled(lambda: len(admission) == 1)
            await stream.aclose()
            await settled(lambda: len(admission) == 0)
        nursery.cancel_scope.cancel()


async def test_a_newcomer_takes_the_place_of_who_holds_most(mock_clock: MockClock) -> None:
    async with serving() as endpoint:
        before = descriptors()
        held = [
            await connect(endpoint, STRANGER, HALF_HEAD) for _ in range(limits.WEB_STRANGERS_OF_ONE)
        ]
        await settled(lambda: descriptors() - before == 2 * len(held))
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(2.0)
        assert await ask(endpoint, STRANGER) == "hello"
        await ended(held[0])
        for stream in held:
            await trio.aclose_forcefully(stream)


async def test_a_head_that_drips_is_cut_off_in_time(mock_clock: MockClock) -> None:
    async with serving() as endpoint:
        before = descriptors()
        client = await connect(endpoint, STRANGER, HALF_HEAD)
        await settled(lambda: descriptors() - before == 2)
        for _ in range(7):
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(2.0)
            await client.send_all(b"x")
        assert descriptors() - before == 2
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(1.5)
        await ended(client)
        await settled(lambda: descriptors() - before == 1)
        await trio.aclose_forcefully(client)


async def test_a_body_that_drips_is_answered_408(mock_clock: MockClock) -> None:
    async with serving() as endpoint:
        head = (
            b"POST /form HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        )
        asked.clear()
        client = await connect(endpoint, STRANGER, head)
        await settled(lambda: asked)
        for _ in range(4):
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(BODY_SECONDS / 4)
            await client.send_all(b"x")
        answer = b""
        while got := await client.receive_some():
            answer += got
        assert answer.startswith(b"HTTP/1.1 408")
        await trio.aclose_forcefully(client)


async def test_who_leaves_in_the_middle_of_a_body_leaves_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    head = (
        b"POST /form HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n\r\nabc"
    )
    async with serving() as endpoint:
        with capture_logs() as logs:
            for _ in range(20):
                client = await connect(endpoint, STRANGER, head)
                await trio.testing.wait_all_tasks_blocked()
                await trio.aclose_forcefully(client)
            assert await ask(endpoint, STRANGER) == "hello"
        assert (logs, caplog.records) == ([], [])


@pytest.fixture
def certified(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """TLS contexts of a server at 127.0.0.1 and of a browser that trusts it."""
    authority = Authority.create(tmp_path / "authority", "a network")
    key = certificates.generate_key()
    csr = certificates.request(certificates.load_key(key, "a key"))
    issued = authority.issue_web(csr, ["127.0.0.1"], lifetime=timedelta(days=1))
    (tmp_path / "key.pem").write_bytes(key.reveal())
    (tmp_path / "cert.pem").write_bytes(certificates.to_pem(issued))
    context = web_context(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
    return context, ssl.create_default_context(cadata=authority.certificate)


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
async def test_browsers_speak_either_version_by_tls(
    certified: tuple[ssl.SSLContext, ssl.SSLContext], version: str
) -> None:
    server, browser = certified
    newer = version == "HTTP/2"
    async with (
        serving(server) as endpoint,
        httpx.AsyncClient(
            http1=not newer, http2=newer, verify=browser, trust_env=False, timeout=60
        ) as http,
    ):
        answer = await http.get(f"https://{endpoint}/")
        assert (answer.text, answer.http_version) == ("hello", version)
        answer = await http.get(f"https://{endpoint}/", headers={"Host": "evil.example"})
        assert answer.status_code == 421


async def test_silence_instead_of_a_handshake(
    mock_clock: MockClock, certified: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    context, _ = certified
    async with serving(context) as endpoint:
        before = descriptors()
        silent = [await connect(endpoint, STRANGER) for _ in range(5)]
        await settled(lambda: descriptors() - before == 10)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(TUNING.handshake + 0.1)
        for stream in silent:
            await ended(stream)
        await settled(lambda: descriptors() - before == 5)
        for stream in silent:
            await trio.aclose_forcefully(stream)


def _http2(path: bytes) -> H2Connection:
    client = H2Connection(H2Configuration(header_encoding=None, validate_outbound_headers=False))
    client.initiate_connection()
    head = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"127.0.0.1")]
    client.send_headers(1, [*head, (b":path", path)])
    return client


async def test_an_error_of_the_library_ends_one_connection_and_is_logged_once() -> None:
    async with serving() as endpoint:
        with capture_logs() as logs:
            for _ in range(20):
                client = await connect(endpoint, STRANGER, _http2(b"/\xff").data_to_send())
                await ended(client)
                await trio.aclose_forcefully(client)
            assert await ask(endpoint, STRANGER) == "hello"
    (said,) = [log for log in logs if "HTTP library" in log["event"]]
    assert said["errors"] == ["UnicodeDecodeError"]


async def test_a_body_that_goes_on_after_the_answer_ends_one_connection() -> None:
    async with serving() as endpoint:
        http2 = _http2(b"/")
        client = await connect(endpoint, STRANGER, http2.data_to_send())
        await client.receive_some()
        await trio.testing.wait_all_tasks_blocked()
        http2.send_data(1, b"x")
        await client.send_all(http2.data_to_send())
        await ended(client)
        assert await ask(endpoint, STRANGER) == "hello"
        await trio.aclose_forcefully(client)


@pytest.mark.parametrize("path", ["/", "/streamed"])
async def test_a_connection_is_closed_after_the_answer_where_the_client_asks_for_it(
    path: str,
) -> None:
    """An application that streams is cancelled at that moment: it hears that the client is gone."""
    async with serving() as endpoint:
        head = f"GET {path} HTTP/1.1\r\nHost: {endpoint}\r\nConnection: close\r\n\r\n"
        stream = await connect(endpoint, "127.0.0.1", head.encode())
        with trio.fail_after(60):
            await ended(stream)


@pytest.mark.parametrize("path", ["/pieces", "/pieces/length"])
async def test_a_body_goes_out_of_a_buffer_that_changes(path: str) -> None:
    async with serving() as endpoint, httpx.AsyncClient(trust_env=False, timeout=60) as client:
        for _ in range(2):  # on one connection
            answer = await client.get(f"http://{endpoint}{path}")
            assert answer.content == b"".join(bytes([one]) * 100_000 for one in b"abc")
            assert ("content-length" in answer.headers) is path.endswith("length")


async def test_what_a_client_takes_slowly_is_written_whole() -> None:
    ours, theirs = (trio.SocketStream(one) for one in trio.socket.socketpair())
    data = bytes(range(256)) * 40_000
    got = bytearray()

    async def read() -> None:
        while len(got) < len(data):
            got.extend(await theirs.receive_some(100_000))
            await trio.lowlevel.checkpoint()

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await write_all(ours, memoryview(data))
    assert got == data

    async def write() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await write_all(ours, data)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await trio.testing.wait_all_tasks_blocked()
        await ours.aclose()
    await theirs.aclose()
    ours, theirs = (trio.SocketStream(one) for one in trio.socket.socketpair())
    await theirs.aclose()
    with pytest.raises(OSError, match="pipe"):
        await write_all(ours, data)
    await ours.aclose()


async def test_a_body_that_is_sent_to_who_speaks_no_http_ends_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    head = b"GET /pieces HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    async with serving() as endpoint:
        for said in (head + b"\0\r\n\r\n", head + b"GET /pieces"):
            stream = await connect(endpoint, STRANGER, said)
            await trio.aclose_forcefully(stream)
        assert await ask(endpoint, STRANGER) == "hello"
    assert not caplog.records


async def test_a_websocket_is_refused_without_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving() as endpoint:
        client = await connect(
            endpoint,
            STRANGER,
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        )
        assert (await client.receive_some()).startswith(b"HTTP/1.1 403")
        await trio.aclose_forcefully(client)
        assert await ask(endpoint, STRANGER) == "hello"
    assert not caplog.records


async def test_the_server_ends_also_under_a_client_that_takes_nothing() -> None:
    async with serving() as endpoint:
        client = await connect(
            endpoint, STRANGER, b"GET /endless HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        )
        await trio.testing.wait_all_tasks_blocked(0.01)
    await ended(client)
    await trio.aclose_forcefully(client)


async def test_an_answer_on_a_connection_that_is_being_closed_is_no_failure() -> None:
    class Closing:
        async def send_all(self, _data: bytes) -> None:
            await trio.lowlevel.checkpoint()
            raise trio.BusyResourceError("another task is currently sending data")

    class Protocol:
        def __init__(self) -> None:
            self.told: list[Event] = []

        async def handle(self, event: Event) -> None:
            await trio.lowlevel.checkpoint()
            self.told.append(event)

    connection = WebConnection(
        ASGIWrapper(cast("Any", Starlette())),
        Config(),
        WorkerContext(None),
        ConnectionState({}),
        cast("Any", Closing()),
    )
    protocol = Protocol()
    connection.protocol = cast("Any", protocol)
    await connection.protocol_send(RawData(b"413"))
    assert protocol.told == [Closed()]
