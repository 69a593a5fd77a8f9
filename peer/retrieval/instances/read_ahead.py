"""Instances read before they are taken, several at once, and taken in order.

How many is the same for a workstation and for ``p2pacs get`` (`peer.commands.get.study`).
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar

import outcome
import trio
from attrs import define, field, frozen

from p2pacs.concurrency.budget import Budget
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


def _stopped() -> UnavailableError:
    return UnavailableError("it was not read to its end: try again")


@define(eq=False)
class _PendingRead(Generic[T]):
    """An instance on its way."""

    size: int
    done: trio.Event = field(factory=trio.Event)
    result: outcome.Outcome[T] = field(factory=lambda: outcome.Error(_stopped()))

    async def run(self, read: Callable[[], Awaitable[T]]) -> None:
        try:
            self.result = outcome.Value(await read())
        except P2PacsError as error:
            self.result = outcome.Error(error)
        finally:
            self.done.set()


class ReadAhead(Generic[T]):
    """Reads what is requested, as requests come, while one task takes what is read, in order."""

    def __init__(
        self,
        requests: AsyncGenerator[ReadRequest[T], None],
        count: int = AHEAD,
        size: int = AHEAD_BYTES,
    ) -> None:
        """Nothing is read before `run`.

        Args:
            requests: what to read; its `P2PacsError` is raised in its place.
            count: instances that may be in memory ...
            size: ... and bytes of them.
        """
        self._requests = requests
        self._budget = Budget(size)
        self._places = trio.Semaphore(count)
        self._send, self._receive = trio.open_memory_channel[_PendingRead[T] | None](math.inf)

    async def run(self) -> None:
        """Read until all requests are read, or until cancelled."""
        last: _PendingRead[T] | None = _broken(_stopped())
        try:
            async with trio.open_nursery() as nursery:
                await self._read(nursery)
            last = None
        finally:  # cancelled, it is no orderly end: something is missing
            self._send.send_nowait(last)

    async def _read(self, nursery: trio.Nursery) -> None:
        async with aclosing(self._requests) as requests:
            try:
                async for request in requests:
                    await self._places.acquire()
                    await self._budget.acquire(request.size)
                    reading = _PendingRead[T](request.size)
                    nursery.start_soon(reading.run, request.read)
                    self._send.send_nowait(reading)
            except P2PacsError as error:
                self._send.send_nowait(_broken(error))

    async def next(self) -> T | None:
        """The next instance in order; None after the last.

        Raises:
            P2PacsError: why it, or all that follow, cannot be read.
        """
        reading = await self._arrived()
        if reading is None:
            return None
        self._free(reading.size)
        return reading.result.unwrap()

    async def _arrived(self) -> _PendingRead[T] | None:
        reading = await self._receive.receive()
        if reading is not None:
            await reading.done.wait()
        return reading

    def _free(self, size: int) -> None:
        self._places.release()
        self._budget.release(size)


class ThreadReadAhead(ReadAhead[T]):
    """The same for another thread. It need not wait for the event loop: what is read lies ready."""

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
        super().__init__(requests, count, size)
        self._soon = soon
        self._ready: SimpleQueue[_PendingRead[T] | None] = SimpleQueue()

    async def run(self) -> None:
        """Read until all requests are read, or until cancelled."""
        last: _PendingRead[T] | None = _broken(_stopped())
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(super().run)
                while (reading := await self._arrived()) is not None:
                    self._ready.put(reading)
            last = None
        finally:
            self._ready.put(last)

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


def _broken(error: P2PacsError) -> _PendingRead[Any]:
    """What is taken where no more comes."""
    reading = _PendingRead[Any](0, result=outcome.Error(error))
    reading.done.set()
    return reading
