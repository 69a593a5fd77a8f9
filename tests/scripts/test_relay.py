"""A relay in the place of a narrow uplink: what it lets through, and how fast."""

import time
from functools import partial

import trio

from p2pacs.units import Endpoint
from scripts.relay import uplink_relay

LOCAL = "127.0.0.1"
SIZE = 60_000


async def test_bytes_take_their_time_one_way_alone() -> None:
    async def echo(stream: trio.SocketStream) -> None:
        async for data in stream:
            await stream.send_all(data)
        await stream.send_eof()

    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, echo, 0, host=LOCAL))
        port = listener.socket.getsockname()[1]
        async with uplink_relay(1_000_000, Endpoint(LOCAL, port), LOCAL) as door:
            stream = await trio.open_tcp_stream(door.host, door.port)
            begin, came = time.monotonic(), bytearray()
            sent = bytes(range(256)) * (SIZE // 256)
            nursery.start_soon(send, stream, sent)
            async for data in stream:
                came += data
            seconds = time.monotonic() - begin
        nursery.cancel_scope.cancel()
    assert bytes(came) == sent
    assert 8 * SIZE / 1_000_000 < seconds < 3


async def send(stream: trio.SocketStream, data: bytes) -> None:
    await stream.send_all(data)
    await stream.send_eof()
