"""Waiting for what real sockets, threads and processes bring about."""

from __future__ import annotations

from collections.abc import Callable

import trio


async def eventually(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Until a condition holds."""
    with trio.fail_after(seconds):
        while not condition():
            await trio.sleep(0.01)
