"""How late the event loop is: what blocks it makes everything else wait."""

from __future__ import annotations

from typing import Final

import trio

from p2pacs.metrics.durations import Durations

EVERY: Final = 0.5
"""Seconds between two looks."""

BOUNDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0)


class LoopLag:
    """Sleeps a known time, and counts how much longer it took to come back."""

    def __init__(self) -> None:
        """Nothing was looked at."""
        self.durations = Durations(BOUNDS)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            due = trio.current_time() + EVERY
            await trio.sleep_until(due)
            self.durations.add(max(0.0, trio.current_time() - due))
