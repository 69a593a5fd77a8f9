import trio
from trio.testing import wait_all_tasks_blocked

from p2pacs.concurrency.budget import Budget
from p2pacs.concurrency.urgency import Haste


async def test_bytes_are_taken_in_turn_and_given_back() -> None:
    budget = Budget(10)
    got: list[int] = []

    async def take(size: int) -> None:
        await budget.acquire(size)
        got.append(size)

    await budget.acquire(6)
    async with trio.open_nursery() as nursery:
        for size in (5, 1, 9):
            nursery.start_soon(take, size)
            await wait_all_tasks_blocked()
        assert got == []
        budget.release(6)
        await wait_all_tasks_blocked()
        assert sorted(got) == [1, 5]
        budget.release(5)
        await wait_all_tasks_blocked()
        assert sorted(got) == [1, 5, 9]


async def test_something_larger_than_the_budget_goes_alone() -> None:
    budget = Budget(10)
    await budget.acquire(100)
    with trio.move_on_after(0) as scope:
        await budget.acquire(1)
    assert scope.cancelled_caught
    budget.release(100)
    await budget.acquire(10)


async def test_whoever_gives_up_lets_the_next_one_through() -> None:
    budget = Budget(10)
    await budget.acquire(9)
    async with trio.open_nursery() as nursery:

        async def give_up() -> None:
            with trio.move_on_after(0):
                await budget.acquire(5)

        nursery.start_soon(give_up)
        await wait_all_tasks_blocked()
        nursery.start_soon(budget.acquire, 1)
    budget.release(10)
    await budget.acquire(10)


async def test_whoever_is_cancelled_takes_nothing() -> None:
    budget = Budget(10)
    with trio.CancelScope() as scope:
        scope.cancel()
        await budget.acquire(10)
    assert scope.cancelled_caught
    await budget.acquire(10)


async def test_who_is_more_urgent_has_the_next_bytes() -> None:
    budget, stat = Budget(10), Haste(3)
    got: list[str] = []

    async def take(name: str, urgency: Haste) -> None:
        await budget.acquire(10, urgency)
        got.append(name)

    await budget.acquire(10)
    async with trio.open_nursery() as nursery:
        for name, urgency in (("a", Haste()), ("b", Haste()), ("stat", stat)):
            nursery.start_soon(take, name, urgency)
            await wait_all_tasks_blocked()
        for _ in range(3):
            budget.release(10)
            await wait_all_tasks_blocked()
    assert got == ["stat", "a", "b"]
