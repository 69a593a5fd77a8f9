import errno

import httpx
import pytest
import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from structlog.testing import capture_logs
from trio.testing import MockClock

from p2pacs.errors import StateError
from p2pacs.units import Endpoint
from p2pacs.web.connections import Connections, ServingTuning, web_admission
from p2pacs.web.serving import accept_connections, serve_web

ANY = Endpoint("127.0.0.1", 0)


async def _hello(_request: Request) -> Response:
    return PlainTextResponse("hello")


async def test_serves_on_a_known_port_and_stops_gracefully() -> None:
    release = trio.Event()
    asked = trio.Event()

    async def slow(_request: Request) -> Response:
        asked.set()
        await release.wait()
        return PlainTextResponse("late")

    app = Starlette(routes=[Route("/", _hello), Route("/slow", slow)])
    stop = trio.Event()
    answers: list[str] = []
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:

            async def start(
                *, task_status: trio.TaskStatus[Endpoint] = trio.TASK_STATUS_IGNORED
            ) -> None:
                await serve_web(app, ANY, stop=stop, task_status=task_status)

            endpoint: Endpoint = await nursery.start(start)
            assert endpoint.port > 0
            async with httpx.AsyncClient(base_url=f"http://{endpoint}", timeout=60) as client:
                answer = await client.get("/")
                assert answer.text == "hello"
                assert "server" not in answer.headers

                async def ask() -> None:
                    answers.append((await client.get("/slow")).text)

                async with trio.open_nursery() as asking:
                    asking.start_soon(ask)
                    await asked.wait()
                    stop.set()
                    release.set()
    assert answers == ["late"]


async def test_a_taken_port_is_named() -> None:
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        app = Starlette(routes=[Route("/", _hello)])
        with pytest.raises(StateError, match=rf"cannot listen on 127.0.0.1:{port}: .*in use"):
            await serve_web(app, Endpoint("127.0.0.1", port), stop=trio.Event())


async def test_no_descriptor_left_is_said_once_a_minute(autojump_clock: MockClock) -> None:
    class Exhausted:
        """A listener for which accept(2) says EMFILE, for two and a half minutes."""

        async def accept(self) -> trio.SocketStream:
            await trio.lowlevel.checkpoint()
            if trio.current_time() < 150:
                raise OSError(errno.EMFILE, "Too many open files")
            await trio.sleep_forever()
            raise AssertionError

    connections = Connections(
        Starlette(), tls=None, admission=web_admission(), tuning=ServingTuning()
    )
    with capture_logs() as logs, trio.move_on_after(200):
        async with trio.open_nursery() as nursery:
            await accept_connections(Exhausted(), connections, nursery, ServingTuning())
    assert [log["why"] for log in logs] == ["Too many open files"] * 3
