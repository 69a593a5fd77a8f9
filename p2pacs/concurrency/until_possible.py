"""Trying again what this machine does not allow for the moment: a full disk, a locked database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
import trio

from p2pacs.errors import DatabaseLockedError, DiskFullError

log = structlog.get_logger(__name__)

T = TypeVar("T")

PAUSE_SECONDS: Final = 2.0
"""Between two looks whether a full disk has room again, or a lock is gone."""


async def until_possible(
    step: Callable[[], Awaitable[T]], name: str, *, pause: float = PAUSE_SECONDS
) -> T:
    """Do a step, again and again as long as a disk is full or another program has a lock.

    Args:
        step: Changes nothing when it fails so.
        name: Of what it needs, for the log, which says once that it waits and once that it need
            not any more.
        pause: Seconds between two tries.
    """
    waiting = False
    while True:
        try:
            done = await step()
        except (DiskFullError, DatabaseLockedError) as error:
            if not waiting:
                log.warning("waiting until it can be used", file=name, error=str(error))
            waiting = True
            await trio.sleep(pause)
        else:
            if waiting:
                log.warning("it can be used again", file=name)
            return done
