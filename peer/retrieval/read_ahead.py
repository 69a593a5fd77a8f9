"""Instances read before they are taken, several at once, and taken in order.

How many is the same for a workstation and for ``p2pacs get`` (`peer.commands.get`).
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
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
    """Reads what is requested, as requests come, while others take what is read."""

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
        self._send, self._receive = trio.open_memory_channel[_PendingRead[T]](math.inf)
        self._next: _PendingRead[T] | None = None

    async def run(self) -> None:
        """Read until all requests are read, or until cancelled."""
        async with self._send, aclosing(self._requests) as requests, trio.open_nursery() as nursery:
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

    async def next(self) -> T | None:
        """The next instance in order; None after the last, or when `run` has ended.

        Who is cancelled while waiting for it may ask for it again; one at a time.

        Raises:
            P2PacsError: why it, or all that follow, cannot be read.
        """
        if self._next is None:
            try:
                self._next = await self._receive.receive()
            except trio.EndOfChannel:
                return None
        await self._next.done.wait()
        reading, self._next = self._next, None
        self._places.release()
        self._budget.release(reading.size)
        return reading.result.unwrap()
