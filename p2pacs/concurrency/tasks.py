"""Tasks that a part of the program starts while it runs, and none any more once it stops; tasks
of which one is enough."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVarTuple, Unpack

import trio

from p2pacs.concurrency.groups import single_error

Ts = TypeVarTuple("Ts")


class Tasks:
    """The nursery of a part, while there is one."""

    def __init__(self) -> None:
        self._nursery: trio.Nursery | None = None

    @property
    def running(self) -> bool:
        """Whether tasks can be started."""
        return self._nursery is not None

    def start(self, function: Callable[[Unpack[Ts]], Awaitable[object]], *args: *Ts) -> bool:
        """Start a task; whether it was: before and after `open` none is."""
        if self._nursery is None:
            return False
        self._nursery.start_soon(function, *args)
        return True

    @asynccontextmanager
    async def open(self) -> AsyncIterator[trio.Nursery]:
        """From now on tasks can be started, until the body ends: not while the last ones do."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                yield nursery
            finally:
                self._nursery = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Have tasks started until cancelled."""
        async with self.open():
            task_status.started()
            await trio.sleep_forever()


async def wait_any(*waits: Callable[[], Awaitable[object]]) -> None:
    """Until one of these is over; the others are cancelled."""
    with single_error():
        async with trio.open_nursery() as nursery:

            async def wait(one: Callable[[], Awaitable[object]]) -> None:
                await one()
                nursery.cancel_scope.cancel()

            for one in waits:
                nursery.start_soon(wait, one)
