from collections.abc import AsyncIterator

import httpx
import pytest
import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from trio.testing import MockClock

from p2pacs.web.large_bodies import BodyPace, drain, read_pieces

PACE = BodyPace(first_seconds=10, slowest=100)


async def _sizes(request: Request) -> Response:
    pieces = [len(piece) async for piece in read_pieces(request, 1000, PACE, piece_bytes=100)]
    return JSONResponse(pieces)


async def _refuse(request: Request) -> Response:
    await drain(request, most=1000, seconds=1)
    return JSONResponse([], 403)


APP = Starlette(
    routes=[
        Route("/", _sizes, methods=["POST"]),
        Route("/refused", _refuse, methods=["POST"]),
    ]
)


async def post(content: AsyncIterator[bytes], path: str = "/") -> httpx.Response:
    transport = httpx.ASGITransport(APP)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        return await http.post(path, content=content)


async def pieces(*sizes: int, pause: float = 0) -> AsyncIterator[bytes]:
    for size in sizes:
        await trio.sleep(pause)
        yield bytes(size)


@pytest.mark.parametrize(
    ("sizes", "given"),
    [((), []), ((40, 40, 40, 10), [120, 10]), ((150,), [150]), ((100, 100), [100, 100])],
)
async def test_small_pieces_are_gathered(sizes: tuple[int, ...], given: list[int]) -> None:
    assert (await post(pieces(*sizes))).json() == given


async def test_a_body_has_a_bound() -> None:
    assert (await post(pieces(*[100] * 10))).status_code == 200
    assert (await post(pieces(*[100] * 11))).status_code == 413


@pytest.mark.parametrize(("pause", "status"), [(0.9, 200), (4.0, 408), (11.0, 408)])
async def test_a_body_that_trickles(autojump_clock: MockClock, pause: float, status: int) -> None:
    del autojump_clock
    assert (await post(pieces(*[100] * 8, pause=pause))).status_code == status


async def test_what_is_refused_is_read_within_bounds(autojump_clock: MockClock) -> None:
    began = autojump_clock.current_time()
    for sent in (pieces(10), pieces(5000), pieces(*[1] * 100, pause=0.5)):
        assert (await post(sent, "/refused")).status_code == 403
    assert autojump_clock.current_time() - began < 3
