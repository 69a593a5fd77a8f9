"""Programs that run until they are told to stop: Ctrl-C or SIGTERM, once for in order."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio

from p2pacs.errors import P2PacsError, first_of
from p2pacs.process import heap
from p2pacs.process.service_manager import READY, STOPPING, keep_alive, notify


def run_until_stopped(work: Callable[[trio.Event], Awaitable[None]]) -> None:
    """Run ``work`` to its end in a trio run of its own.

    Args:
        work: given an event that is set by the first SIGINT or SIGTERM; it then ends in order.
            The second signal cancels it.

    Raises:
        P2PacsError: the first that ``work`` ended with, out of its exception group.
    """
    try:
        with heap.settled():
            trio.run(_run, work)
    except (P2PacsError, ExceptionGroup) as error:
        known = first_of(error)
        if known is None:
            raise
        raise known from error


def tell_ready(line: str) -> None:
    """One line on standard output for whoever started the program, and a word for systemd.

    Where it cannot be written (a file on a full disk) the program goes on without.
    """
    notify(READY)
    with suppress(OSError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


async def _run(work: Callable[[trio.Event], Awaitable[None]]) -> None:
    stop = trio.Event()

    async def listen(*, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                if stop.is_set():
                    nursery.cancel_scope.cancel()
                stop.set()
                notify(STOPPING)

    async with trio.open_nursery() as nursery:
        await nursery.start(listen)
        nursery.start_soon(keep_alive)
        await work(stop)
        nursery.cancel_scope.cancel()
