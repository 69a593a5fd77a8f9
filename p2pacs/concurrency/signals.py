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
        if self._lot:  # a ring for each chunk, and mostly nobody asleep: the question is cheap
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
        self._waiting: dict[trio.lowlevel.ParkingLot, Callable[[], bool]] = {}

    def changed(self) -> None:
        """The state changed: whoever waited for that goes on; all others sleep undisturbed."""
        for lot, condition in self._waiting.items():
            if condition():
                lot.unpark_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Until the condition holds. It is asked at every change, so it must be quick."""
        while not condition():
            lot = trio.lowlevel.ParkingLot()
            self._waiting[lot] = condition
            try:
                await lot.park()
            finally:
                del self._waiting[lot]


class Pause:
    """Between two tries, for any number of tasks: over early when it may work now."""

    def __init__(self) -> None:
        self.ended = 0
        """How often it was ended: to be looked at before a try."""
        self._watch = Watch()

    def end(self) -> None:
        """Whoever waits tries now."""
        self.ended += 1
        self._watch.changed()

    async def wait(self, seconds: float, since: int) -> None:
        """For so many seconds, or until it was ended since the time of ``since``."""
        with trio.move_on_after(seconds):
            await self._watch.until(lambda: self.ended != since)
