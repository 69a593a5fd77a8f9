import trio
from trio.testing import MockClock

from p2pacs.metrics.loop_lag import EVERY, LoopLag


async def test_a_loop_that_is_in_time_has_no_lag(autojump_clock: MockClock) -> None:
    lag = LoopLag()
    with trio.move_on_after(10 * EVERY + EVERY / 2):
        await lag.run()
    [one] = lag.durations.read()
    assert (one.buckets[0][1], one.seconds) == (10, 0)


async def test_what_blocks_the_loop_is_seen(mock_clock: MockClock) -> None:
    lag = LoopLag()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lag.run)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(EVERY + 0.3)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    [one] = lag.durations.read()
    assert round(one.seconds, 6) == 0.3
