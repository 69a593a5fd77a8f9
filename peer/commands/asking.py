"""Commands that ask a running peer, or wait for something."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import trio

from p2pacs.errors import P2PacsError, first_of
from peer.api.client import PeerClient

T = TypeVar("T")


def ask(folder: Path, work: Callable[[PeerClient], Awaitable[T]]) -> T:
    """What a running peer answers.

    Raises:
        P2PacsError: it does not run, or refuses.
    """

    async def connected() -> T:
        async with PeerClient.connect(folder) as peer:
            return await work(peer)

    return run_to_end(connected)


def run_to_end(work: Callable[[], Awaitable[T]]) -> T:
    """Run to the end; an exception group is reduced to the one error that matters.

    Raises:
        KeyboardInterrupt: Ctrl-C, after everything was cancelled in order.
    """
    result: list[T] = []
    interrupted = False

    async def interruptible() -> None:
        nonlocal interrupted

        async def listen(*, task_status: trio.TaskStatus[None]) -> None:
            nonlocal interrupted
            with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                task_status.started()
                async for _ in signals:
                    interrupted = True
                    nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            await nursery.start(listen)
            result.append(await work())
            nursery.cancel_scope.cancel()

    try:
        trio.run(interruptible)
    except (P2PacsError, ExceptionGroup) as error:
        known = first_of(error)
        if known is None:
            raise
        raise known from error
    if not result and interrupted:
        raise KeyboardInterrupt
    return result[0]
