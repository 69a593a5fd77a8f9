"""Worker processes that share a queue of calls: started when there is work, ended when idle."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import structlog
import trio
from attrs import define, field, frozen

from p2pacs.concurrency.groups import single_error
from p2pacs.concurrency.urgency import USUAL, Haste, TurnQueue
from p2pacs.errors import WorkerError
from p2pacs.limits import KIB, MIB
from p2pacs.workers.messages import CallBatch, CallFailure, CallOutcome, Task
from p2pacs.workers.process import WorkerProcess

T = TypeVar("T")

StartWorker = Callable[[], WorkerProcess]


@frozen
class PoolTuning:
    """What a pool goes by."""

    idle: float = 30.0
    """Seconds without work after which a process ends: each takes 50 MB."""

    batch_bytes: int = 256 * KIB
    """Calls of less than this go to a process together: a message costs a third of a
    millisecond."""

    batch_calls: int = 32
    """Calls that go together at most, so that the results of the first are not long in coming."""

    seconds: float = 30.0
    """For a call, whatever its size: the process may have to import what it needs ..."""

    slowest: int = 1 * MIB
    """... and bytes a second that every call manages, at a twentieth of the usual speed."""

    room: int = 256 * MIB
    """Address space for a call, whatever its size: libraries are loaded in it."""

    deaths: int = 2
    """Processes that may be killed with a call in hand before it counts as their killer. The
    first may have been chance (a memory hog beside it, somebody's kill), and is tried again."""


TUNING = PoolTuning()
"""As measured."""


log = structlog.get_logger(__name__)


@define(eq=False)
class _Call:
    """What somebody waits for."""

    task: Task
    size: int
    memory: int
    urgency: Haste = USUAL
    _outcome: CallOutcome = field(factory=lambda: CallFailure(WorkerError("not done")), init=False)
    alone: bool = False
    """It was in a batch that ended a process: it may be the one."""
    deaths: int = 0
    """Processes that were killed while they had it."""
    wanted: bool = True
    done: trio.Event = field(factory=trio.Event)

    def end(self, outcome: CallOutcome) -> None:
        self._outcome = outcome
        self.done.set()

    def result(self) -> Any:
        if isinstance(self._outcome, CallFailure):
            raise self._outcome.error
        return self._outcome.value


@define(eq=False)
class _Work:
    """What a process has in hand."""

    process: WorkerProcess
    calls: list[_Call]
    tuning: PoolTuning
    _unwanted: trio.Event = field(factory=trio.Event)
    _answered: bool = False
    _late: bool = False

    def check(self) -> None:
        """End the process if nobody wants any of it any more."""
        if not any(call.wanted for call in self.calls):
            self._unwanted.set()

    async def run(self, threads: trio.CapacityLimiter) -> list[CallOutcome] | WorkerError:
        """Have it done in time."""
        size = sum(call.size for call in self.calls)
        # One call after the other: of those before, the results are left.
        memory = self.tuning.room + size + max(call.memory for call in self.calls)
        batch = CallBatch(tuple(call.task for call in self.calls), memory)
        seconds = self.tuning.seconds + size / self.tuning.slowest
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, seconds)
            # When this is cancelled, so is the watch, which ends the process and so the thread.
            outcomes = await trio.to_thread.run_sync(_attempt, self.process, batch, limiter=threads)
            self._answered = True
            nursery.cancel_scope.cancel()
        if isinstance(outcomes, WorkerError) and self._late:
            return WorkerError(f"a worker process was not done within {seconds:.0f} s")
        return outcomes

    @property
    def was_killed(self) -> bool:
        """Whether the process died, and not of its own accord nor by us."""
        return self.process.signalled and not self._late

    async def _watch(self, seconds: float) -> None:
        try:
            with trio.move_on_after(seconds) as patience:
                await self._unwanted.wait()
            self._late = patience.cancelled_caught
        finally:
            if not self._answered:
                self.process.kill()


def _attempt(process: WorkerProcess, batch: CallBatch) -> list[CallOutcome] | WorkerError:
    try:
        return process.work(batch)
    except WorkerError as error:
        return error


class Pool:
    """Runs pure functions in processes. `open_pool` makes one."""

    def __init__(
        self,
        nursery: trio.Nursery,
        count: int,
        tuning: PoolTuning,
        start: StartWorker,
        prepare: Callable[[], object] | None = None,
    ) -> None:
        self._nursery = nursery
        self._start = start
        self._prepare = prepare
        self._prepared = 0
        """Processes that have imported what they need, or do so with calls in hand."""
        self.count = count
        """How many processes there may be."""
        self._free = count
        self.tuning = tuning
        """What it goes by."""
        self._threads = trio.CapacityLimiter(count)
        self._queue = TurnQueue[_Call]()
        self._idle: list[trio.Event] = []
        self._works: dict[_Call, _Work] = {}
        self._open = True
        self.processes: set[int] = set()
        """The numbers of those that run."""
        self.deaths = 0
        """Processes that ended in the middle of their work: they crashed, or were too slow."""

    @property
    def waiting(self) -> int:
        """Calls that no process has taken yet."""
        return len(self._queue)

    async def run(
        self,
        function: Callable[..., T],
        *arguments: Any,
        size: int = 0,
        memory: int = 0,
        urgency: Haste = USUAL,
    ) -> T:
        """Call a function in a process; nothing of it goes on when this is cancelled.

        Args:
            function: found by its name in its module; called once, or again if its process was
                killed.
            arguments: picklable; never changed.
            size: bytes that it works on, which give it its time.
            memory: bytes that it needs for them.
            urgency: who is more urgent has its turn before it.

        Raises:
            P2PacsError: whatever it raises.
            WorkerError: it ended its process, again where that was killed, or was not done in
                time.
        """
        if not self._open:
            raise WorkerError("worker processes have ended")
        call = _Call(Task(function, arguments), size, memory, urgency)
        self._queue.add(call, urgency)
        self._wake()
        try:
            await call.done.wait()
        finally:
            self._forget(call)
        value: T = call.result()
        return value

    def _wake(self) -> None:
        if self._idle:
            self._idle.pop().set()
        elif self._free:
            self._free -= 1
            self._nursery.start_soon(self._serve)

    def _forget(self, call: _Call) -> None:
        call.wanted = False
        if work := self._works.get(call):
            work.check()
        else:
            self._queue.remove(call)

    # ------------------------------------------------------------ one task for each process

    async def _serve(self) -> None:
        """One process, and another when it died, until there is nothing to do for a while."""
        try:
            while self._queue:
                if not await self._employ():
                    return
        finally:
            self._free += 1

    async def _employ(self) -> bool:
        """A process from its start to its end; False if what waits is left to the others."""
        try:
            process = await trio.to_thread.run_sync(self._start, limiter=self._threads)
        except WorkerError as error:
            for call in self._take():
                call.end(CallFailure(error))
            return True
        self.processes.add(process.pid)
        try:
            if self._prepared and not await self._get_ready(process):
                return not self._prepared
            self._prepared += 1
            try:
                await self._occupy(process)
            finally:
                self._prepared -= 1
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(process.end, limiter=self._threads)
            self.processes.discard(process.pid)
        return True

    async def _get_ready(self, process: WorkerProcess) -> bool:
        """Have a further process import what it needs before it takes a call, as that may take a
        second, and others are ready: a study is published in order, and the second image of one
        kept all that follow waiting. Whether it did."""
        if self._prepare is None:
            return True
        work = _Work(process, [_Call(Task(self._prepare, ()), 0, self.tuning.room)], self.tuning)
        return not isinstance(await work.run(self._threads), WorkerError)

    async def _occupy(self, process: WorkerProcess) -> None:
        """Calls, one batch after the other, until there are none for a while, or it died."""
        while calls := await self._next():
            if not process.alive:  # since its last work: these calls have no part in it
                for call in reversed(calls):
                    self._queue.put_back(call, call.urgency)
                return
            if not await self._work(process, calls):
                return

    async def _next(self) -> list[_Call]:
        """What is to be done next; nothing after a while without work."""
        while not self._queue:
            wake = trio.Event()
            self._idle.append(wake)
            with trio.move_on_after(self.tuning.idle):
                await wake.wait()
            if not wake.is_set():
                self._idle.remove(wake)
                return []
        return self._take()

    def _take(self) -> list[_Call]:
        """The next call with small ones that follow it and are as urgent."""
        first = self._queue.take()
        calls, size = [first], first.size
        while len(calls) < self.tuning.batch_calls and not first.alone:
            following = self._queue.next()
            if following is None or following.alone:
                break
            size += following.size
            is_other = following.urgency.level != first.urgency.level
            if size > self.tuning.batch_bytes or is_other:
                break
            calls.append(self._queue.take())
        return calls

    async def _work(self, process: WorkerProcess, calls: list[_Call]) -> bool:
        """Have calls done; whether the process may go on."""
        work = _Work(process, calls, self.tuning)
        self._works.update(dict.fromkeys(calls, work))
        try:
            outcomes = await work.run(self._threads)
        finally:
            for call in calls:
                del self._works[call]
        if not isinstance(outcomes, WorkerError):
            for call, outcome in zip(calls, outcomes, strict=True):
                call.end(outcome)
            return True
        wanted = [call for call in calls if call.wanted]
        if wanted:
            self.deaths += 1
            log.warning("worker process ended", why=str(outcomes), calls=len(calls))
        for call in reversed(wanted):
            call.deaths += 1
            # One of several did it, or none: each gets a process of its own to show which.
            if len(calls) > 1 or (work.was_killed and call.deaths < self.tuning.deaths):
                call.alone = True
                self._queue.put_back(call, call.urgency)
            else:
                call.end(CallFailure(outcomes))
        return False

    def close(self) -> None:
        """Nothing more is done."""
        self._open = False
        for call in (*self._queue, *self._works):
            call.end(CallFailure(WorkerError("worker processes have ended")))


@asynccontextmanager
async def open_pool(
    count: int,
    tuning: PoolTuning = TUNING,
    start: StartWorker = WorkerProcess,
    prepare: Callable[[], object] | None = None,
) -> AsyncIterator[Pool]:
    """Worker processes, none of which outlives the block, or the program.

    Args:
        count: how many at most.
        tuning: what they go by.
        start: starts one.
        prepare: imports what calls need; a further process does that before it takes one.
    """
    with single_error():
        async with trio.open_nursery() as nursery:
            pool = Pool(nursery, count, tuning, start, prepare)
            try:
                yield pool
            finally:
                pool.close()
                nursery.cancel_scope.cancel()
