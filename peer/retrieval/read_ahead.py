"""Instances read before they are taken, several at once, and taken in order.

How many is the same for a workstation and for ``p2pacs get`` (`peer.commands.get`).
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from queue import SimpleQueue
from typing import Final, Generic, TypeVar

import outcome
import trio
from attrs import define, field, frozen

from p2pacs.budget import Budget
from p2pacs.errors import P2PacsError, UnavailableError
from p2pacs.limits import MIB

T = TypeVar("T")

AHEAD: Final = 6
"""Instances that are being read or wait to be taken: images are decoded on all cores ..."""

AHEAD_BYTES: Final = 16 * MIB
"""... and bytes of them, so that little is in memory; a larger one comes alone."""


@frozen
class ReadRequest(Generic[T]):
    """One instance to be read."""

    size: int
    read: Callable[[], Awaitable[T]]


@define(eq=False)
class _PendingRead(Generic[T]):
    """An instance on its way."""

    size: int
    done: trio.Event = field(factory=trio.Event)
    result: outcome.Outcome[T] = field(
        factory=lambda: outcome.Error(UnavailableError("it was not read to its end: try again"))
    )

    async def run(self, read: Callable[[], Awaitable[T]]) -> None:
        try:
            self.result = outcome.Value(await read())
        except P2PacsError as error:
            self.result = outcome.Error(error)
        finally:
            self.done.set()


class ReadAhead(Generic[T]):
    """Reads what is requested, as requests come, while another thread takes what is read.

    That thread need not wait for the event loop: what is read lies ready for it.
    """

    def __init__(
        self,
        requests: AsyncGenerator[ReadRequest[T], None],
        soon: Callable[[Callable[[], object]], None],
        count: int = AHEAD,
        size: int = AHEAD_BYTES,
    ) -> None:
        """Nothing is read before `run`.

        Args:
            requests: what to read; its `P2PacsError` is raised in its place.
            soon: has a function called in the event loop, from the thread that takes.
            count: instances that may be in memory ...
            size: ... and bytes of them.
        """
        self._requests = requests
        self._soon = soon
        self._budget = Budget(size)
        self._places = trio.Semaphore(count)
        self._send, self._receive = trio.open_memory_channel[_PendingRead[T]](math.inf)
        self._ready: SimpleQueue[_PendingRead[T] | None] = SimpleQueue()

    async def run(self) -> None:
        """Read until all requests are read, or until cancelled."""
        last: _PendingRead[T] | None = _PendingRead(0)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pass_on)
                await self._read(nursery)
            last = None
        finally:  # cancelled, it is no orderly end: something is missing
            self._ready.put(last)

    async def _read(self, nursery: trio.Nursery) -> None:
        async with self._send, aclosing(self._requests) as requests:
            try:
                async for request in requests:
                    await self._places.acquire()
                    await self._budget.acquire(request.size)
                    reading = _PendingRead[T](request.size)
                    nursery.start_soon(reading.run, request.read)
                    self._send.send_nowait(reading)
            except P2PacsError as error:
                broken = _PendingRead[T](0, result=outcome.Error(error))
                broken.done.set()
                self._send.send_nowait(broken)

    async def _pass_on(self) -> None:
        """In order, each when it is read."""
        async for reading in self._receive:
            await reading.done.wait()
            self._ready.put(reading)

    def take(self, seconds: float) -> T | None:
        """The next instance in order; None after the last. In another thread.

        Args:
            seconds: how long to wait for it.

        Raises:
            queue.Empty: it is not here yet.
            P2PacsError: why it, or all that follow, cannot be read.
        """
        reading = self._ready.get(timeout=seconds)
        if reading is None:
            return None
        self._soon(partial(self._free, reading.size))
        return reading.result.unwrap()

    def _free(self, size: int) -> None:
        self._places.release()
        self._budget.release(size)
