"""The simulated lines: what is sent arrives when arithmetic says."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
import trio.testing

from p2pacs.limits import KIB
from p2pacs.line.pacing import NO_OVERHEAD, TLS_OVER_TCP, Overhead
from tests.simulation.clock import EventClock
from tests.simulation.lines import LineStream, connect
from tests.simulation.nic import Nic


def slow(up: float = 100_000.0, loss: float = 0.0, overhead: Overhead = NO_OVERHEAD) -> Nic:
    return Nic(up=up, down=400_000.0, delay=0.01, loss=loss, overhead=overhead)


def run(story: Callable[[], Awaitable[Any]]) -> Any:
    return trio.run(story, clock=EventClock())


async def read(stream: LineStream, size: int) -> float:
    """When so many bytes were read."""
    while size > 0:
        size -= len(await stream.receive_some())
    assert size == 0
    return trio.current_time()


async def send_and_read(size: int, **line: Any) -> float:
    here, there = connect(slow(**line), slow())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(here.send_all, bytes(size))
        return await read(there, size)


def test_bytes_take_the_uplinks_time_and_both_delays() -> None:
    assert run(lambda: send_and_read(100_000)) == pytest.approx(1.02)
    assert run(lambda: send_and_read(10)) == pytest.approx(0.0201)


async def test_any_clock_will_do(autojump_clock: trio.testing.MockClock) -> None:
    begin = trio.current_time()
    assert await send_and_read(100_000) - begin == pytest.approx(1.02)


def test_the_slower_of_uplink_and_downlink_counts() -> None:
    assert run(lambda: send_and_read(400_000, up=1e9)) == pytest.approx(1.02, rel=0.05)


def test_streams_of_a_host_share_its_uplink() -> None:
    async def story() -> list[float]:
        sender = slow()
        pairs = [connect(sender, slow()) for _ in range(4)]
        ends: list[float] = []

        async def one(here: LineStream, there: LineStream) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(here.send_all, bytes(50_000))
                ends.append(await read(there, 50_000))

        async with trio.open_nursery() as nursery:
            for here, there in pairs:
                nursery.start_soon(one, here, there)
        return ends

    ends = run(story)
    assert max(ends) == pytest.approx(2.02)
    assert min(ends) > 1.3  # nobody is starved, nobody preferred


def test_streams_to_a_host_share_its_downlink() -> None:
    async def story() -> float:
        receiver = slow()
        async with trio.open_nursery() as nursery:
            for _ in range(8):
                here, there = connect(slow(), receiver)
                nursery.start_soon(here.send_all, bytes(50_000))
                nursery.start_soon(read, there, 50_000)
        return trio.current_time()

    assert run(story) == pytest.approx(1.02, rel=0.05)


def test_a_sender_waits_while_its_window_or_the_queue_is_full() -> None:
    async def story() -> tuple[float, float]:
        sender = slow()
        one, _ = connect(sender, slow())
        other, _ = connect(sender, slow())
        await one.send_all(bytes(40_000))
        window = trio.current_time()
        await other.send_all(bytes(40_000))
        return window, trio.current_time()

    window, queue = run(story)
    assert 0.1 < window < 0.3  # 25 kB, and a piece beyond
    assert queue > window


def test_who_does_not_read_stops_the_sender() -> None:
    async def story() -> bool:
        here, _ = connect(Nic(), Nic())
        with trio.move_on_after(3600) as scope:
            await here.send_all(bytes(4_000_000))
        return scope.cancelled_caught

    assert run(story)


def test_what_stands_behind_a_lost_segment_waits() -> None:
    lossless = run(lambda: send_and_read(200_000))
    lossy = run(lambda: send_and_read(200_000, loss=0.02))
    assert lossless + 0.02 < lossy < 1.6 * lossless


def test_a_lost_segment_goes_over_the_line_again() -> None:
    async def story() -> int:
        nic = slow(loss=0.05)
        here, there = connect(nic, slow())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.send_all, bytes(500_000))
            await read(there, 500_000)
        return nic.sent

    assert 1.02 < run(story) / 500_000 < 1.1


def test_headers_and_acknowledgements_take_room() -> None:
    async def story() -> tuple[int, int]:
        one, other = (slow(overhead=TLS_OVER_TCP) for _ in range(2))
        here, there = connect(one, other)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(here.send_all, bytes(160 * KIB))
            await read(there, 160 * KIB)
        return one.sent, other.sent

    sent, acks = run(story)
    assert sent == 10 * TLS_OVER_TCP.wire_bytes(16 * KIB)
    assert acks == pytest.approx(0.018 * 160 * KIB, rel=0.02)


def test_a_cut_line_breaks_for_both_ends() -> None:
    async def story() -> None:
        here, there = connect(Nic(), Nic())
        await here.send_all(b"x")
        here.cut()
        for stream in (here, there):
            with pytest.raises(trio.BrokenResourceError):
                await stream.send_all(b"x")
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()

    run(story)


def test_a_closed_stream_is_read_to_its_end() -> None:
    async def story() -> list[bytes]:
        here, there = connect(slow(), slow())
        await here.send_all(b"last words")
        await here.aclose()
        return [await there.receive_some(4), await there.receive_some(), await there.receive_some()]

    assert run(story) == [b"last", b" words", b""]


def test_frames_are_counted_by_the_kind_of_message() -> None:
    async def story() -> Nic:
        nic = Nic()
        here, _ = connect(nic, Nic())
        frame = bytes([0, 0, 0, 3, 0x92, 17, 0])
        await here.send_all(frame + frame + bytes([0, 0, 0, 2, 0x91, 21]))
        return nic

    nic = run(story)
    assert nic.messages == {17: 2, 21: 1}
    assert nic.message_bytes == {17: 14, 21: 6}
