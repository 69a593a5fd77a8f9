import trio
import trio.testing

from p2pacs.concurrency.signals import Bell, Pause, Watch


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


async def test_a_watch_wakes_nobody_in_vain(autojump_clock: trio.testing.MockClock) -> None:
    watch = Watch()
    value = 0
    asked = 0

    def reached() -> bool:
        nonlocal asked
        asked += 1
        return value >= 3

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.until, reached)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(3):
            value += 1
            watch.changed()
        await trio.testing.wait_all_tasks_blocked()
    assert asked == 5  # at first, at each change, and once more before going on


async def test_who_gave_up_waiting_is_not_asked(autojump_clock: trio.testing.MockClock) -> None:
    watch = Watch()
    with trio.move_on_after(1) as scope:
        await watch.until(lambda: False)
    assert scope.cancelled_caught
    watch.changed()
    assert not watch._waiting


async def test_a_pause_is_over_early_when_it_was_ended(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pause = Pause()
    start = trio.current_time()
    await pause.wait(60, pause.ended)
    assert trio.current_time() - start == 60
    since = pause.ended
    pause.end()  # during the try
    await pause.wait(60, since)
    assert trio.current_time() - start == 60
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(pause.wait, 60, pause.ended)
        await trio.sleep(1)
        pause.end()
    assert trio.current_time() - start == 61
