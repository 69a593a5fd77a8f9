"""Events in virtual time."""

import trio

from tests.simulation.clock import EventClock, make_deterministic, timer


def test_time_passes_only_while_everybody_waits() -> None:
    async def story() -> float:
        await trio.sleep(86_400)
        return trio.current_time()

    assert trio.run(story, clock=EventClock()) == 86_400


def test_events_come_in_their_order_and_between_deadlines() -> None:
    heard: list[tuple[float, str]] = []

    def say(what: str) -> bool:
        heard.append((trio.current_time(), what))
        return False

    async def story() -> None:
        at = timer()
        at(3.0, lambda: say("third"))
        at(1.0, lambda: say("first"))
        at(1.0, lambda: say("second"))
        await trio.sleep(2)
        say("deadline")
        at(0.5, lambda: say("late"))
        await trio.sleep(2)

    trio.run(story, clock=EventClock())
    assert heard == [
        (1.0, "first"),
        (1.0, "second"),
        (2.0, "deadline"),
        (2.0, "late"),
        (3.0, "third"),
    ]


def test_an_event_wakes_a_task_at_once() -> None:
    async def story() -> float:
        event = trio.Event()

        def ring() -> bool:
            event.set()
            return True

        timer()(5.0, ring)
        with trio.move_on_after(60):
            await event.wait()
        return trio.current_time()

    assert trio.run(story, clock=EventClock()) == 5.0


def test_within_a_tick_tasks_wake_together_and_events_come_in_time() -> None:
    async def story() -> tuple[list[float], list[float]]:
        events: list[float] = []
        woken: list[float] = []

        async def sleeper(number: int, event: trio.Event) -> None:
            def ring() -> bool:
                events.append(trio.current_time())
                event.set()
                return True

            timer()(number, ring)
            await event.wait()
            woken.append(trio.current_time())

        async with trio.open_nursery() as nursery:
            for number in range(1, 5):
                nursery.start_soon(sleeper, number, trio.Event())
        return events, woken

    events, woken = trio.run(story, clock=EventClock(tick=2.5))
    assert events == [1, 2, 3, 4]
    assert woken == [3.5, 3.5, 3.5, 6.5]


def test_the_same_seed_schedules_the_same_way() -> None:
    async def story() -> list[int]:
        order: list[int] = []

        async def one(number: int) -> None:
            for _ in range(3):
                await trio.lowlevel.checkpoint()
                order.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(one, number)
        return order

    orders = []
    for seed in (1, 1, 2):
        make_deterministic(seed)
        orders.append(trio.run(story, clock=EventClock()))
    assert orders[0] == orders[1] != orders[2]
