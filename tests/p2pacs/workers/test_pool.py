import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from p2pacs.concurrency.urgency import USUAL, Haste
from p2pacs.errors import CodingError, WorkerError
from p2pacs.limits import MIB
from p2pacs.workers.pool import Pool, PoolTuning, open_pool
from tests.p2pacs.workers import jobs
from tests.waiting import eventually

ROOT = Path(__file__).parents[3]


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    async with open_pool(2) as opened:
        yield opened


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_nothing_runs_before_there_is_work(pool: Pool) -> None:
    assert not pool.processes
    assert await pool.run(jobs.pid) in pool.processes
    assert len(pool.processes) == 1
    assert await pool.run(jobs.pid) != os.getpid()
    assert len(pool.processes) == 1  # one is enough for one after the other


async def test_work_for_two_runs_in_two_processes(pool: Pool) -> None:
    found: set[int] = set()

    async def one() -> None:
        found.add(await pool.run(jobs.wait, 300, size=MIB))

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(one)
    assert len(found) == len(pool.processes) == 2


async def test_a_further_process_takes_nothing_before_it_is_ready(tmp_path: Path) -> None:
    async with open_pool(2, prepare=partial(jobs.held, str(tmp_path))) as pool:
        first = await pool.run(jobs.pid)  # the only one: whoever calls waits for it anyway
        found: list[int] = []

        async def one() -> None:
            found.append(await pool.run(jobs.wait, 50, size=MIB))

        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(one)
        assert found == [first] * 4
        await eventually(lambda: len(list(tmp_path.iterdir())) == 1)  # it imports meanwhile
        (tmp_path / jobs.RELEASED).touch()
        await eventually(lambda: len(pool.processes) == 2)
        while set(found) == {first}:
            async with trio.open_nursery() as nursery:
                for _ in range(4):
                    nursery.start_soon(one)


async def test_calls_do_not_wait_for_a_process_that_does_not_get_ready() -> None:
    async with open_pool(2, prepare=jobs.abort) as pool:
        found: set[int] = set()

        async def one() -> None:
            found.add(await pool.run(jobs.wait, 100, size=MIB))

        async with trio.open_nursery() as nursery:
            for _ in range(6):
                nursery.start_soon(one)
        assert len(found) == 1
        assert pool.deaths == 0


async def test_results_are_never_mixed_up(pool: Pool) -> None:
    results: dict[int, bytes] = {}
    sizes = [1, 100, 20_000, 70_000, 300_000, 3_000_000]

    async def one(number: int) -> None:
        data = bytes([number]) * sizes[number % len(sizes)]
        results[number] = await pool.run(jobs.echo, data, size=len(data))

    async with trio.open_nursery() as nursery:
        for number in range(100):
            nursery.start_soon(one, number)
    assert results == {n: bytes([n]) * sizes[n % len(sizes)] for n in range(100)}


async def test_what_a_function_raises_comes_back(pool: Pool) -> None:
    first = await pool.run(jobs.pid)
    with pytest.raises(CodingError, match="no such image"):
        await pool.run(jobs.refuse, "no such image")
    assert await pool.run(jobs.pid) == first


@pytest.mark.parametrize(
    "function",
    [jobs.abort, jobs.segfault, jobs.suicide, jobs.devour, jobs.devour_in_c],
)
async def test_a_process_that_dies_costs_its_own_call(
    pool: Pool, function: Callable[[], object]
) -> None:
    results: list[int] = []

    async def beside() -> None:
        results.append(await pool.run(jobs.length, b"12345"))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(beside)
        with pytest.raises(WorkerError, match="a worker process ended"):
            await pool.run(function)
        for _ in range(20):
            nursery.start_soon(beside)
    assert results == [5] * 40


async def test_a_defect_says_nothing_of_its_data(
    pool: Pool, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(WorkerError, match="exit code 1") as caught:
        await pool.run(jobs.stumble, "DOE^JANE")
    said = capfd.readouterr()
    assert "worker process: ValueError in stumble" in said.err
    assert "DOE" not in said.err + said.out + str(caught.value)


async def test_what_a_library_prints_is_no_answer(
    pool: Pool, capfd: pytest.CaptureFixture[str]
) -> None:
    assert await pool.run(jobs.chatter) == "said"
    assert capfd.readouterr().out == ""


async def test_a_call_that_hangs_is_ended_and_not_tried_again(tmp_path: Path) -> None:
    async def hang() -> None:
        with pytest.raises(WorkerError, match="not done within 1 s"):
            await pool.run(jobs.hang, str(tmp_path))

    async with open_pool(1, PoolTuning(seconds=1.0)) as pool:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hang)
            await eventually(lambda: pool.processes)
            (pid,) = pool.processes
        await eventually(lambda: not runs(pid))
        assert len(list(tmp_path.iterdir())) <= 1  # none if it took a second to get there
    async with open_pool(1) as pool:
        assert await pool.run(jobs.length, b"123") == 3


@pytest.mark.parametrize("size", [0, MIB], ids=["of a batch", "alone"])
async def test_a_process_that_somebody_kills_costs_nothing(tmp_path: Path, size: int) -> None:
    """As the system does when memory runs out: what was in hand is tried in another."""
    results: list[int] = []

    async def one(pool: Pool) -> None:
        results.append(await pool.run(jobs.once_hung, str(tmp_path), size=size))

    async with open_pool(1) as pool, trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(one, pool)
        await eventually(lambda: any(tmp_path.iterdir()))
        (pid,) = pool.processes
        os.kill(pid, signal.SIGKILL)
    assert len(results) == 20
    assert pid not in results


@pytest.mark.parametrize("neighbours", [0, 5])
async def test_a_poison_kills_two_processes_and_no_more(tmp_path: Path, neighbours: int) -> None:
    """Among others it is found out; alone it may have been chance, once."""
    results: list[int] = []

    async def beside(pool: Pool) -> None:
        results.append(await pool.run(jobs.length, b"12345"))

    async with open_pool(1) as pool, trio.open_nursery() as nursery:
        await pool.run(jobs.pid)
        for _ in range(neighbours):
            nursery.start_soon(beside, pool)
        with pytest.raises(WorkerError, match="SIGKILL"):
            await pool.run(jobs.counted_suicide, str(tmp_path))
    assert results == [5] * neighbours
    assert len(list(tmp_path.iterdir())) == 2


async def test_what_ends_by_itself_is_not_tried_again(tmp_path: Path) -> None:
    """A defect or want of memory would come again."""
    async with open_pool(1) as pool:
        with pytest.raises(WorkerError, match="exit code 1"):
            await pool.run(jobs.counted_stumble, str(tmp_path))
    assert len(list(tmp_path.iterdir())) == 1


async def test_a_call_that_is_cancelled_is_ended(pool: Pool, tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run, jobs.hang, str(tmp_path))
        await eventually(lambda: any(tmp_path.iterdir()))
        nursery.cancel_scope.cancel()
    (pid,) = (int(path.name) for path in tmp_path.iterdir())
    await eventually(lambda: not runs(pid))
    assert await pool.run(jobs.length, b"123") == 3


async def test_a_call_that_waits_and_is_cancelled_is_not_made(tmp_path: Path) -> None:
    busy, not_made = tmp_path / "busy", tmp_path / "not made"
    busy.mkdir()
    not_made.mkdir()
    async with open_pool(1) as pool, trio.open_nursery() as nursery:
        nursery.start_soon(pool.run, jobs.held, str(busy))
        await eventually(lambda: any(busy.iterdir()))
        with trio.move_on_after(0.05):
            await pool.run(jobs.hang, str(not_made))
        (busy / jobs.RELEASED).touch()
        assert await pool.run(jobs.length, b"123") == 3
    assert not any(not_made.iterdir())


async def test_cancelling_one_of_a_batch_leaves_the_others(tmp_path: Path) -> None:
    results: list[int] = []
    first, batch = tmp_path / "first", tmp_path / "batch"
    first.mkdir()
    batch.mkdir()

    async def small(pool: Pool) -> None:
        results.append(await pool.run(jobs.held, str(batch)))

    async with open_pool(1) as pool, trio.open_nursery() as nursery:
        nursery.start_soon(pool.run, jobs.held, str(first))
        await eventually(lambda: any(first.iterdir()))
        for _ in range(5):
            nursery.start_soon(small, pool)
        async with trio.open_nursery() as cancelled:
            cancelled.start_soon(pool.run, jobs.held, str(batch))
            await trio.testing.wait_all_tasks_blocked()
            (first / jobs.RELEASED).touch()
            await eventually(lambda: any(batch.iterdir()))
            cancelled.cancel_scope.cancel()
        (batch / jobs.RELEASED).touch()
    assert len(results) == 5
    assert len(set(results)) == 1


async def test_processes_end_when_idle() -> None:
    async with open_pool(2, PoolTuning(idle=0.2)) as pool:
        pid = await pool.run(jobs.pid)
        assert runs(pid)
        await eventually(lambda: not pool.processes)
        assert not runs(pid)
        assert await pool.run(jobs.pid) != pid


async def test_an_idle_process_that_was_killed_costs_nothing(pool: Pool) -> None:
    pid = await pool.run(jobs.pid)
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: not runs(pid))
    assert await pool.run(jobs.pid) != pid


async def test_no_process_outlives_the_block(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        async with open_pool(2) as pool:
            idle = await pool.run(jobs.pid)

            async def wait() -> None:
                with pytest.raises(WorkerError, match="have ended"):
                    await pool.run(jobs.hang, str(tmp_path))

            nursery.start_soon(wait)
            await eventually(lambda: any(tmp_path.iterdir()))
            (busy,) = (int(path.name) for path in tmp_path.iterdir())
        assert not runs(idle)
        assert not runs(busy)
    with pytest.raises(WorkerError, match="have ended"):
        await pool.run(jobs.pid)


PROGRAM = """
import sys, trio
from p2pacs.workers.pool import open_pool
from tests.p2pacs.workers import jobs

async def main():
    async with open_pool(2) as pool, trio.open_nursery() as nursery:
        sys.stdout.write(f"{await pool.run(jobs.pid)}\\n")
        sys.stdout.flush()
        nursery.start_soon(pool.run, jobs.hang, sys.argv[1])
        nursery.start_soon(pool.run, jobs.wait, 50)

trio.run(main)
"""


@pytest.mark.system
async def test_no_process_outlives_a_program_that_is_killed(tmp_path: Path) -> None:
    program = subprocess.Popen(  # noqa: ASYNC220 - a few milliseconds
        [sys.executable, "-c", PROGRAM, tmp_path],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    )
    assert program.stdout is not None
    with program:
        other = int(await trio.to_thread.run_sync(program.stdout.readline))
        await eventually(lambda: any(tmp_path.iterdir()))
        (busy,) = (int(path.name) for path in tmp_path.iterdir())
        assert runs(busy)
        program.kill()
    await eventually(lambda: not runs(busy) and not runs(other))


async def test_workers_are_behind_the_program_and_know_no_trio(pool: Pool) -> None:
    nice, has_trio = await pool.run(jobs.limits)
    assert nice == min(os.nice(0) + 5, 19)
    assert not has_trio


async def test_the_loop_goes_on_while_much_is_sent(pool: Pool) -> None:
    data = bytes(200 * MIB)
    pauses: list[float] = []
    begin = time.process_time()
    bytearray(data)
    copying = time.process_time() - begin

    async def watch() -> None:
        while True:
            begin = time.process_time()  # of the program, not of what else the machine does
            await trio.lowlevel.checkpoint()
            pauses[-1] = max(pauses[-1], time.process_time() - begin)
            await trio.sleep(0.001)

    await pool.run(jobs.pid)
    async with trio.open_nursery() as nursery:
        pauses.append(0.0)
        nursery.start_soon(watch)
        for _ in range(3):
            assert await pool.run(jobs.length, data, memory=len(data)) == len(data)
            pauses.append(0.0)
        nursery.cancel_scope.cancel()
    assert min(pauses[:3]) < copying / 2


async def test_what_is_more_urgent_is_done_before_what_waits(tmp_path: Path) -> None:
    stat, done = Haste(3), list[str]()

    async def one(name: str, urgency: Haste) -> None:
        await pool.run(jobs.pid, size=1, urgency=urgency)  # small ones go together otherwise
        done.append(name)

    async with open_pool(1) as pool, trio.open_nursery() as nursery:
        nursery.start_soon(pool.run, jobs.held, str(tmp_path))
        await eventually(lambda: len(list(tmp_path.iterdir())) == 1)
        for name, urgency in (("a", USUAL), ("b", USUAL), ("stat", stat), ("c", USUAL)):
            nursery.start_soon(one, name, urgency)
            await eventually(
                lambda name=name: pool.waiting == 1 + ["a", "b", "stat", "c"].index(name)
            )
        (tmp_path / jobs.RELEASED).touch()
    assert done[0] == "stat"
    assert sorted(done) == ["a", "b", "c", "stat"]
