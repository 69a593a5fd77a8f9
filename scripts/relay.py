"""A narrow uplink for a program that does not pace itself: a TCP relay of so many bits a second."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

import trio

from p2pacs.line.pacing import SEGMENT_BYTES, SEGMENT_OVERHEAD
from p2pacs.units import Endpoint

_READ_BYTES: Final = 8 * SEGMENT_BYTES


@asynccontextmanager
async def uplink_relay(rate: float, target: Endpoint, host: str) -> AsyncIterator[Endpoint]:
    """A relay while the block runs; where it listens.

    Args:
        rate: bits a second from who connects to the target, headers of TCP and IP counted as they
            would be on a line; the other way nothing waits.
        target: whom connections are for.
        host: this machine's address that it listens on.
    """
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, partial(_relay, rate, target), host=host)
        [listener] = await nursery.start(serve, 0)
        name = listener.socket.getsockname()
        yield Endpoint(name[0], name[1])
        nursery.cancel_scope.cancel()


async def _relay(rate: float, target: Endpoint, near: trio.SocketStream) -> None:
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        far = await trio.open_tcp_stream(target.host, target.port)
        async with far, near, trio.open_nursery() as nursery:
            nursery.start_soon(_pass, far, near, 0.0)
            nursery.start_soon(_pass, near, far, 8 / rate)


async def _pass(source: trio.SocketStream, to: trio.SocketStream, byte_seconds: float) -> None:
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        free = trio.current_time()
        async for data in _pieces(source):
            headers = SEGMENT_OVERHEAD * -(-len(data) // SEGMENT_BYTES)
            now = trio.current_time()
            free = max(free, now) + (len(data) + headers) * byte_seconds
            await trio.sleep_until(free)
            await to.send_all(data)
        await to.send_eof()


async def _pieces(source: trio.SocketStream) -> AsyncIterator[bytes]:
    while data := await source.receive_some(_READ_BYTES):
        yield bytes(data)
