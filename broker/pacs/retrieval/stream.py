"""A producing task beside a consuming block, joined by an iterator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from p2pacs.concurrency.groups import single_error
from p2pacs.errors import P2PacsError
from p2pacs.publish.source import Retrieved

Put = Callable[[Retrieved], Awaitable[None]]


class _Stream:
    """Iterates over what was put; raises the producer's error after the last one."""

    def __init__(self, channel: trio.MemoryReceiveChannel[Retrieved]) -> None:
        self._channel = channel
        self.error: P2PacsError | None = None

    def __aiter__(self) -> _Stream:
        return self

    async def __anext__(self) -> Retrieved:
        try:
            return await self._channel.receive()
        except trio.EndOfChannel:
            if self.error is not None:
                raise self.error from None
            raise StopAsyncIteration from None


@asynccontextmanager
async def streamed(
    produce: Callable[[Put], Awaitable[None]],
) -> AsyncIterator[AsyncIterator[Retrieved]]:
    """Run ``produce`` beside the block; what it puts is taken one by one, without a buffer.

    Its `P2PacsError` is raised to the iterating block after the last instance. Leaving the
    block cancels it.
    """
    send, receive = trio.open_memory_channel[Retrieved](0)
    stream = _Stream(receive)

    async def run() -> None:
        async with send:
            try:
                await produce(send.send)
            except P2PacsError as error:
                stream.error = error

    with single_error():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            try:
                yield stream
            finally:
                nursery.cancel_scope.cancel()
