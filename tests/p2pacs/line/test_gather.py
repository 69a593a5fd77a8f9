"""On real sockets, in virtual time: nothing here waits for the wall clock."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from p2pacs.line.gather import CORK, GATHER_BYTES, PROMPTER, Gatherer, GatheringStream

Clock = trio.testing.MockClock
Pair = tuple[GatheringStream, socket.socket]


def record(size: int) -> bytes:
    """A TLS record of so many bytes in all."""
    return b"\x17\x03\x03" + (size - 5).to_bytes(2, "big") + bytes(size - 5)


@asynccontextmanager
async def pairs(count: int = 1, seconds: float = 0.05) -> AsyncIterator[list[Pair]]:
    """Streams of one host, and the plain sockets at their other ends."""
    gatherer = Gatherer(seconds)
    made: list[Pair] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gatherer.run)
        for _ in range(count):
            here, there = socket.socketpair()
            there.setblocking(False)
            tcp = trio.SocketStream(trio.socket.from_stdlib_socket(here))
            made.append((gatherer.stream(tcp), there))
        yield made
        nursery.cancel_scope.cancel()
    for stream, there in made:
        await stream.aclose()
        there.close()
    gatherer.close()


async def read_all(stream: GatheringStream, reads: list[tuple[float, int]]) -> None:
    while data := await stream.receive_some():
        reads.append((trio.current_time(), len(data)))


async def test_a_record_is_given_when_it_is_whole(autojump_clock: Clock) -> None:
    reads: list[tuple[float, int]] = []
    async with pairs() as [(stream, there)], trio.open_nursery() as nursery:
        nursery.start_soon(read_all, stream, reads)
        await trio.sleep(1)
        for part in range(10):  # the first segment is not kept waiting, nor is it given alone
            there.send(record(1000)[part * 100 : part * 100 + 100])
            await trio.sleep(0.01)
        await trio.sleep(1)
        assert [size for _, size in reads] == [1000]
        assert 1.09 <= reads[0][0] <= 1.165
        there.send(record(50))
        await trio.sleep(0.001)
        assert [size for _, size in reads[1:]] == [50], "at once after a silence"
        nursery.cancel_scope.cancel()


async def test_all_streams_are_read_at_the_same_ticks(autojump_clock: Clock) -> None:
    times: set[float] = set()

    async def read(stream: GatheringStream) -> None:
        while await stream.receive_some():
            times.add(round(trio.current_time(), 4))

    async with pairs(3) as made, trio.open_nursery() as nursery:
        for stream, _ in made:
            nursery.start_soon(read, stream)
        start = trio.current_time()
        for turn in range(300):
            made[turn % 3][1].send(record(1500))
            await trio.sleep(0.00371)
        assert 15 < len(times) <= (trio.current_time() - start) / 0.05 + 2
        nursery.cancel_scope.cancel()


async def test_answers_are_read_sooner_than_data(autojump_clock: Clock) -> None:
    reads: list[tuple[float, int]] = []
    async with pairs() as [(stream, there)], trio.open_nursery() as nursery:
        nursery.start_soon(read_all, stream, reads)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(3):
            there.send(record(60))
            await trio.sleep(0.001)
        await trio.sleep(1)
        assert [size for _, size in reads] == [60, 120]
        assert reads[1][0] - reads[0][0] <= 1.5 * 0.05 / PROMPTER
        nursery.cancel_scope.cancel()


async def test_a_fast_line_is_not_held_up(autojump_clock: Clock) -> None:
    async with pairs() as [(stream, there)]:
        start = trio.current_time()
        for _ in range(5):
            there.send(record(GATHER_BYTES // 2) * 2)
            got = 0
            while got < GATHER_BYTES:
                got += len(await stream.receive_some())
        assert trio.current_time() == start


async def test_nobody_reads_and_nothing_is_lost(autojump_clock: Clock) -> None:
    async with pairs() as [(stream, there)]:
        there.send(record(100))
        await trio.sleep(1)
        with trio.move_on_after(0):
            await stream.receive_some()  # cancelled
        there.send(record(200))
        await trio.sleep(1)
        got = b""
        while len(got) < 300:
            got += await stream.receive_some(70)
        assert got == record(100) + record(200)


async def test_the_end_comes_at_once(autojump_clock: Clock) -> None:
    async with pairs() as [(stream, there)]:
        there.send(record(100)[:40])  # torn: TLS will say so
        there.close()
        assert await stream.receive_some() == record(100)[:40]
        assert await stream.receive_some() == b""
        assert await stream.receive_some() == b""


async def test_sending(autojump_clock: Clock) -> None:
    async with pairs() as [(stream, there)], trio.open_nursery() as nursery:
        await stream.wait_send_all_might_not_block()
        await stream.send_all(b"abc")
        assert there.recv(10) == b"abc"
        much = bytes(4_000_000)
        nursery.start_soon(stream.send_all, much)
        left = len(much)
        while left:
            await trio.lowlevel.wait_readable(there)
            left -= len(there.recv(1_000_000))
        there.close()
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"x")


@pytest.mark.skipif(CORK is None, reason="only Linux holds segments back")
async def test_what_does_not_fill_a_segment_waits_for_what_follows() -> None:
    gatherer = Gatherer()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        here = socket.create_connection(listener.getsockname())
        there, _ = listener.accept()
    here.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = gatherer.stream(trio.SocketStream(trio.socket.from_stdlib_socket(here)))

    def corked() -> int:
        return here.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK)

    with there:
        assert stream.write(b"first half", more=True) == 10
        assert corked()
        assert stream.write(b", second half") == 13
        assert not corked()
        stream.write(b"x", more=True)
        await stream.send_all(b"an answer that nobody may hold back")
        assert not corked()
        there.close()  # unread bytes: it answers with a reset
        await trio.lowlevel.wait_readable(here)
        with pytest.raises(trio.BrokenResourceError):
            stream.write(b"z", more=True)
    await stream.aclose()
    gatherer.close()


async def test_closed_while_somebody_reads(autojump_clock: Clock) -> None:
    async with pairs() as [(stream, _)], trio.open_nursery() as nursery:

        async def read() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await stream.receive_some()

        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        await stream.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_all(b"x")


async def test_writing_at_once(autojump_clock: Clock) -> None:
    async with pairs() as [(stream, there)]:
        assert stream.write(b"abc") == 3
        assert there.recv(10) == b"abc"
        much = bytes(4_000_000)
        assert 0 < stream.write(much) < len(much)
        assert stream.write(b"x") == 0, "the kernel is full"
        there.close()
        with pytest.raises(trio.BrokenResourceError):
            stream.write(b"x")
        await stream.aclose()
        with pytest.raises(trio.ClosedResourceError):
            stream.write(b"x")
