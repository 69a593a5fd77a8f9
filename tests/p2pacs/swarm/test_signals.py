import trio
import trio.testing

from p2pacs.swarm.signals import Bell, Watch


async def test_a_ring_before_the_wait_is_kept_once(autojump_clock: trio.testing.MockClock) -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    await bell.wait()
    with trio.move_on_after(1) as scope:
        await bell.wait()
    assert scope.cancelled_caught


async def test_a_ring_wakes_the_listener(autojump_clock: trio.testing.MockClock) -> None:
    bell = Bell()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bell.wait)
        await trio.testing.wait_all_tasks_blocked()
        bell.ring()


async def test_a_watch_wakes_all_whose_condition_holds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    watch = Watch()
    value = 0
    seen = []

    async def wait_for(least: int) -> None:
        await watch.until(lambda: value >= least)
        seen.append(least)

    async with trio.open_nursery() as nursery:
        for least in (1, 1, 2):
            nursery.start_soon(wait_for, least)
        await trio.testing.wait_all_tasks_blocked()
        value = 1
        watch.changed()
        await trio.testing.wait_all_tasks_blocked()
        assert seen == [1, 1]
        value = 2
        watch.changed()
