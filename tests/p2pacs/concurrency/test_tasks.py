import trio
from trio.testing import MockClock

from p2pacs.concurrency.tasks import Tasks


async def test_tasks_start_while_it_runs_and_none_while_it_stops(
    autojump_clock: MockClock,
) -> None:
    tasks, told, done = Tasks(), list[bool](), list[str]()

    async def work(name: str) -> None:
        done.append(name)

    async def late() -> None:
        try:
            await trio.sleep_forever()
        finally:  # the others have ended, or are about to
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
                told.append(tasks.start(work, "late"))

    assert (tasks.running, tasks.start(work, "early")) == (False, False)
    async with trio.open_nursery() as nursery:
        await nursery.start(tasks.run)
        assert tasks.running
        assert tasks.start(work, "in time")
        assert tasks.start(late)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert done == ["in time"]
    assert told == [False]
    assert not tasks.running
