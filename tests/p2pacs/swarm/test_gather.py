import itertools

import trio
import trio.testing

from p2pacs.swarm.gather import GATHER_BYTES, GatheringStream

Clock = trio.testing.MockClock


async def test_segments_come_together(autojump_clock: Clock) -> None:
    here, there = trio.testing.memory_stream_pair()
    gathering = GatheringStream(here, 0.05)
    reads: list[tuple[float, int]] = []

    async def read() -> None:
        while data := await gathering.receive_some():
            reads.append((trio.current_time(), len(data)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.sleep(1)
        for _ in range(100):
            await there.send_all(bytes(1000))
            await trio.sleep(0.01)
        await there.aclose()
    assert reads[0] == (1.0, 1000), "the first after a silence is not kept waiting"
    assert sum(size for _, size in reads) == 100_000
    assert len(reads) <= 21
    gaps = [after - before for (before, _), (after, _) in itertools.pairwise(reads)]
    assert min(gaps) > 0.0249
    assert sum(gaps) / len(gaps) > 0.0475


async def test_all_streams_read_at_the_same_ticks(autojump_clock: Clock) -> None:
    times: list[set[float]] = []

    async def read(gathering: GatheringStream) -> None:
        times.append(seen := set())
        while await gathering.receive_some():
            seen.add(round(trio.current_time(), 6))

    async with trio.open_nursery() as nursery:
        pairs = [trio.testing.memory_stream_pair() for _ in range(3)]
        for here, _ in pairs:
            nursery.start_soon(read, GatheringStream(here, 0.05))
        for turn in range(300):
            await pairs[turn % 3][1].send_all(b"x")
            await trio.sleep(0.00371)
        for _, there in pairs:
            await there.aclose()
    assert all(len(seen) > 15 for seen in times)
    assert len(set.union(*times)) <= max(map(len, times)) + 6


async def test_a_fast_line_is_not_held_up(autojump_clock: Clock) -> None:
    here, there = trio.testing.memory_stream_pair()
    gathering = GatheringStream(here, 0.05)
    start = trio.current_time()
    for _ in range(10):
        await there.send_all(bytes(GATHER_BYTES))
        assert len(await gathering.receive_some()) == GATHER_BYTES
    assert trio.current_time() == start


async def test_everything_else_is_the_streams(autojump_clock: Clock) -> None:
    here, there = trio.testing.memory_stream_pair()
    gathering = GatheringStream(here)
    await gathering.wait_send_all_might_not_block()
    await gathering.send_all(b"abc")
    assert await there.receive_some() == b"abc"
    await there.send_all(b"defg")
    assert await gathering.receive_some(2) == b"de"
    await gathering.aclose()
    assert await there.receive_some() == b""


async def test_who_sleeps_for_all_may_be_cancelled(autojump_clock: Clock) -> None:
    pairs = [trio.testing.memory_stream_pair() for _ in range(2)]
    got: list[bytes | bytearray] = []

    async def read(gathering: GatheringStream) -> None:
        await gathering.receive_some()
        got.append(await gathering.receive_some())

    for _, there in pairs:
        await there.send_all(b"first")
    async with trio.open_nursery() as nursery:
        scopes = []
        for here, _ in pairs:
            scopes.append(scope := trio.CancelScope())

            async def run(here: trio.abc.Stream = here, scope: trio.CancelScope = scope) -> None:
                with scope:
                    await read(GatheringStream(here, 0.05))

            nursery.start_soon(run)
            await trio.testing.wait_all_tasks_blocked()
        for _, there in pairs:
            await there.send_all(b"second")
        scopes[0].cancel()
    assert got == [b"second"]
