"""Waiting for what real sockets, threads and processes bring about."""

from __future__ import annotations

import time
from collections.abc import Callable

import trio
import trio.testing


async def eventually(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Until a condition holds."""
    with trio.fail_after(seconds):
        while not condition():
            await trio.sleep(0.01)


async def settled(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Until a condition holds, beside a virtual clock that stands still meanwhile.

    What a socket was given has not always come when every task waits: on a busy machine the
    kernel delivers it a little later, also on loopback.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it never came true")
        await trio.testing.wait_all_tasks_blocked(0.01)
