"""Instances read before they are taken, several at once, and taken in order.

How many is the same for a workstation and for ``p2pacs get`` (`peer.commands.get`).
"""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final

import outcome
import trio
from attrs import define, field, frozen

from p2pacs.budget import Budget
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import P2PacsError, UnavailableError
from p2pacs.limits import MIB

AHEAD: Final = 6
"""Instances that are being read or wait to be taken: images are decoded on all cores ..."""

AHEAD_BYTES: Final = 16 * MIB
"""... and bytes of them, so that little is in memory; a larger one comes alone."""


@frozen
class ReadRequest:
    """One instance to be read."""

    size: int
    read: Callable[[], Awaitable[EncodedInstance]]


@define(eq=False)
class _PendingRead:
    """An instance on its way."""

    size: int
    done: trio.Event = field(factory=trio.Event)
    result: outcome.Outcome[EncodedInstance] = field(
        factory=lambda: outcome.Error(UnavailableError("it was not read to its end: try again"))
    )

    async def run(self, read: Callable[[], Awaitable[EncodedInstance]]) -> None:
        try:
            self.result = outcome.Value(await read())
        except P2PacsError as error:
            self.result = outcome.Error(error)
        finally:
            self.done.set()


class ReadAhead:
    """Reads orders as they come, while others take what is read."""

    def __init__(self, orders: AsyncGenerator[ReadRequest, None]) -> None:
        """Nothing is read before `run`.

        Args:
            orders: what to read; its `P2PacsError` is raised in its place.
        """
        self._orders = orders
        self._budget = Budget(AHEAD_BYTES)
        self._places = trio.Semaphore(AHEAD)
        self._send, self._receive = trio.open_memory_channel[_PendingRead](math.inf)

    async def run(self) -> None:
        """Read until all orders are read, or until cancelled."""
        async with self._send, aclosing(self._orders) as orders, trio.open_nursery() as nursery:
            try:
                async for order in orders:
                    await self._places.acquire()
                    await self._budget.acquire(order.size)
                    reading = _PendingRead(order.size)
                    nursery.start_soon(reading.run, order.read)
                    self._send.send_nowait(reading)
            except P2PacsError as error:
                broken = _PendingRead(0, result=outcome.Error(error))
                broken.done.set()
                self._send.send_nowait(broken)

    async def next(self) -> EncodedInstance | None:
        """The next instance in order; None after the last, or when `run` has ended.

        Raises:
            P2PacsError: why it, or all that follow, cannot be read.
        """
        try:
            reading = await self._receive.receive()
        except trio.EndOfChannel:
            return None
        await reading.done.wait()
        self._places.release()
        self._budget.release(reading.size)
        return reading.result.unwrap()
