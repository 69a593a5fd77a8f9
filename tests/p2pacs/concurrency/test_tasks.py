from functools import partial

import pytest
import trio
from trio.testing import MockClock

from p2pacs.concurrency.tasks import Tasks, wait_any
from p2pacs.errors import LinkClosedError


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


async def test_of_several_waits_one_is_enough(autojump_clock: MockClock) -> None:
    ended: list[float] = []

    async def wait(seconds: float) -> None:
        try:
            await trio.sleep(seconds)
        finally:
            ended.append(seconds)

    await wait_any(partial(wait, 5), partial(wait, 2), partial(wait, 9))
    assert trio.current_time() == 2
    assert sorted(ended) == [2, 5, 9]


async def test_what_a_wait_fails_with_comes_out() -> None:
    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise LinkClosedError("gone")

    with pytest.raises(LinkClosedError, match="gone"):
        await wait_any(trio.sleep_forever, fail)
