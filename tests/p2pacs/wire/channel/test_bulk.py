"""On a real TLS channel over memory streams: what comes together is given together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from p2pacs.identity import tls
from p2pacs.wire.channel.bulk import BATCH_BYTES, BulkStream
from tests.p2pacs.identity.network import Network


@asynccontextmanager
async def channel(folder: Path) -> AsyncIterator[tuple[BulkStream, BulkStream]]:
    network = Network.create(folder)
    here, there = network.member("here"), network.member("there")
    one, other = trio.testing.memory_stream_pair()
    server = trio.SSLStream(one, tls.server_context(here), server_side=True)
    client = trio.SSLStream(
        other, tls.client_context(there), server_hostname=str(here.address), server_side=False
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.do_handshake)
        await client.do_handshake()
    yield BulkStream(server), BulkStream(client)  # type: ignore[arg-type]


async def test_records_that_came_together_are_given_together(tmp_path: Path) -> None:
    data = bytes(range(256)) * 400  # 100 KiB: seven records
    async with channel(tmp_path) as (server, client):
        await client.send_all(data)
        assert await server.receive_some() == data
        await client.send_all(b"short")
        assert await server.receive_some() == b"short"


async def test_a_batch_is_bounded_and_nothing_is_lost(tmp_path: Path) -> None:
    data = bytes(range(251)) * 5000
    async with channel(tmp_path) as (server, client):
        await client.send_all(data)
        received = b""
        while len(received) < len(data):
            batch = await server.receive_some()
            assert 0 < len(batch) < BATCH_BYTES + 16 * 1024
            received += batch
        assert received == data


async def test_as_many_as_asked_for(tmp_path: Path) -> None:
    async with channel(tmp_path) as (server, client):
        await client.send_all(b"abcdef")
        assert await server.receive_some(4) == b"abcd"
        assert await server.receive_some() == b"ef"


async def test_the_end_behind_the_last_records(tmp_path: Path) -> None:
    async with channel(tmp_path) as (server, client), trio.open_nursery() as nursery:
        await client.send_all(b"x" * 40_000)
        nursery.start_soon(client.aclose)
        await trio.testing.wait_all_tasks_blocked()
        assert await server.receive_some() == b"x" * 40_000
        assert await server.receive_some() == b""
        nursery.cancel_scope.cancel()


async def test_a_broken_channel(tmp_path: Path) -> None:
    async with channel(tmp_path) as (server, client):
        await client.send_all(b"x" * 20_000)
        inner = client.inner.transport_stream
        await inner.send_all(b"\x17\x03\x03\x00\x05junk!")  # a record that does not open
        assert await server.receive_some() == b"x" * 20_000
        with pytest.raises(trio.BrokenResourceError):
            await server.receive_some()


async def test_what_the_transport_takes_leaves_at_once(tmp_path: Path) -> None:
    class Half:
        """A transport that takes half of what it gets."""

        def __init__(self, inner: trio.abc.Stream) -> None:
            self.receive_some, self.aclose = inner.receive_some, inner.aclose
            self.taken = b""

        def write(self, data: bytes, *, more: bool = False) -> int:
            self.taken += data[: len(data) // 2]
            return len(data) // 2

        async def send_all(self, data: bytes) -> None:
            self.taken += data

    async with channel(tmp_path) as (server, client):
        assert not client.prompt
        other = client.inner.transport_stream
        client.inner.transport_stream = half = Half(other)  # type: ignore[assignment]
        prompt = BulkStream(client.inner)
        assert prompt.prompt
        assert not prompt.write(b"abc")
        await prompt.flush()
        await other.send_all(half.taken)
        assert await server.receive_some() == b"abc"
