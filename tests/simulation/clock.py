"""Virtual time with events: what no task needs to wait for costs no task."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from typing import Any

import trio
import trio._core._run as scheduler

Event = Callable[[], bool]
"""What happens at a time; it says whether it woke a task."""


class EventClock(trio.abc.Clock):
    """Jumps to the next event or deadline as soon as every task waits.

    A thread's work counts as nothing: the clock does not wait for it.
    """

    def __init__(self, tick: float = 0.0) -> None:
        """Time begins at 0.

        Args:
            tick: Seconds by which a task that an event woke may be late, so that those that are
                woken shortly after it run in the same turn of trio's scheduler (a turn costs as
                much as a short task). Events are never late.
        """
        self._now = 0.0
        self._tick = tick
        self._events: list[tuple[float, int, Event]] = []
        self._numbers = itertools.count()
        self._meeting = math.inf
        self._meet: Callable[[], float] = lambda: math.inf

    def start_clock(self) -> None:
        """Time stands still until everybody waits."""

    def current_time(self) -> float:
        """Virtual seconds since the beginning."""
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Trio asks when every task waits: go to what comes next, and do not sleep."""
        while True:
            until, woken = self._go(min(deadline, self._meeting))
            if woken or deadline <= until:
                return 0.0 if until < math.inf else deadline
            self._meeting = self._meet()

    def _go(self, until: float) -> tuple[float, bool]:
        """Go to a time, or to the end of the tick in which a task is woken; whether one was."""
        events = self._events
        woken = False
        while events and events[0][0] <= until:
            self._now, _, event = heapq.heappop(events)
            if event() and not woken:
                woken = True
                until = min(until, self._now + self._tick)
        if until < math.inf:
            self._now = max(self._now, until)
        return until, woken

    def meet_at(self, time: float, meet: Callable[[], float]) -> None:
        """Go no further than this time before ``meet`` was called; it gives the next one."""
        self._meeting, self._meet = time, meet

    def at(self, time: float, event: Event) -> None:
        """Have something happen at a time; at equal times first come, first served."""
        heapq.heappush(self._events, (max(time, self._now), next(self._numbers), event))


def timer() -> Callable[[float, Event], object]:
    """What runs events at their time in this trio run, on any clock."""
    clock = trio.lowlevel.current_clock()
    return clock.at if isinstance(clock, EventClock) else _at


def _at(time: float, event: Event) -> None:
    trio.lowlevel.spawn_system_task(_later, time, event)


async def _later(time: float, event: Event) -> None:
    await trio.sleep_until(time)
    event()


def make_deterministic(seed: int = 0) -> None:
    """Let trio schedule the same way in every run of this process.

    Trio shuffles what is ready to run. As pytest-trio does for hypothesis, this has it shuffle
    by a seed (trio has no public way).
    """
    private: Any = scheduler
    private._ALLOW_DETERMINISTIC_SCHEDULING = True
    private._r.seed(seed)
