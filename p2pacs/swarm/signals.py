"""Waking tasks without ever replacing an event that somebody awaits."""

from __future__ import annotations

from collections.abc import Callable

import trio


class Bell:
    """Wakes its one listener; a ring while nobody listens is kept (once)."""

    def __init__(self) -> None:
        self._rung = False
        self._lot = trio.lowlevel.ParkingLot()

    def ring(self) -> None:
        """Wake the listener, now or as soon as it listens."""
        self._rung = True
        self._lot.unpark_all()

    async def wait(self) -> None:
        """Until somebody rang since the last time."""
        if self._rung:
            await trio.lowlevel.checkpoint()
        while not self._rung:
            await self._lot.park()
        self._rung = False


class Watch:
    """Lets any number of tasks wait for a condition on state that others change."""

    def __init__(self) -> None:
        self._lot = trio.lowlevel.ParkingLot()

    def changed(self) -> None:
        """The state changed: whoever waits looks again."""
        self._lot.unpark_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Until the condition holds (it may raise to end the wait)."""
        while not condition():
            await self._lot.park()
