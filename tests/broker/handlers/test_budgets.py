import pytest
import trio
from sqlalchemy import Connection
from trio.testing import MockClock

from broker.handlers.budgets import Budgets, BudgetTuning
from p2pacs.errors import BusyError
from p2pacs.ids import VirtualAddress

NORTH, SOUTH = (VirtualAddress(b"\xfd" + bytes(14) + bytes([n])) for n in (1, 2))


class Processor:
    """A processor whose every piece of work takes as long as it is told."""

    def __init__(self) -> None:
        self.used = 0.0

    def __call__(self) -> float:
        return self.used


async def test_a_flood_of_records_is_bounded_and_costs_no_other_member(
    autojump_clock: MockClock,
) -> None:
    budgets = Budgets(BudgetTuning(records=500, records_rate=0.5))

    def flood() -> int:
        taken = 0
        while True:
            try:
                budgets.take_records(NORTH, 100)
            except BusyError:
                return taken
            taken += 100

    assert 500 <= flood() <= 600
    budgets.take_records(SOUTH, 100)
    with pytest.raises(BusyError, match="again in"):
        budgets.take_records(NORTH, 1)
    total = 0
    for _ in range(100):
        await trio.sleep(60)
        total += flood()
    assert total <= 100 * 60 * 0.5 + 100


async def test_questions_about_studies_have_a_budget(autojump_clock: MockClock) -> None:
    budgets = Budgets(BudgetTuning(grants=3, grants_rate=1.0))
    for _ in range(4):
        budgets.take_grant(NORTH)
    with pytest.raises(BusyError):
        budgets.take_grant(NORTH)
    await trio.sleep(10)
    budgets.take_grant(NORTH)


async def test_who_used_its_time_up_waits_and_others_do_not(autojump_clock: MockClock) -> None:
    processor = Processor()
    budgets = Budgets(BudgetTuning(seconds=2.0, seconds_rate=0.25), processor)

    async def work(member: VirtualAddress, seconds: float) -> float:
        start = trio.current_time()
        async with budgets.turn(member) as turn:
            processor.used += seconds
            turn.spent = seconds
        return trio.current_time() - start

    assert await work(NORTH, 2.0) == 0
    assert await work(NORTH, 1.0) == 0
    assert await work(NORTH, 1.0) == pytest.approx(4.0)
    assert await work(SOUTH, 1.0) == 0
    start = trio.current_time()
    for _ in range(40):
        await work(NORTH, 0.5)
    assert trio.current_time() - start >= 40 * 0.5 / 0.25 - 8


async def test_a_turn_measures_what_is_done_in_it(
    autojump_clock: MockClock, connection: Connection
) -> None:
    processor = Processor()
    budgets = Budgets(clock=processor)

    def work(_connection: Connection) -> str:
        processor.used += 0.125
        return "done"

    async with budgets.turn(NORTH) as turn:
        assert turn.timed(work)(connection) == "done"
        assert turn.spent == 0.125


async def test_one_at_a_time_and_only_so_many_wait(autojump_clock: MockClock) -> None:
    budgets = Budgets(BudgetTuning(waiting=2))
    running = most = refused = 0

    async def ask() -> None:
        nonlocal running, most, refused
        try:
            async with budgets.turn(NORTH):
                running += 1
                most = max(most, running)
                await trio.sleep(1)
                running -= 1
        except BusyError:
            refused += 1

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(ask)
        async with budgets.turn(SOUTH):
            pass
    assert (most, refused) == (1, 7)
