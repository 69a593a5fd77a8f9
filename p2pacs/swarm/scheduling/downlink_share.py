"""What more urgent transfers of the same host leave of the line down. Pure: no clock, no I/O.

Uplinks serve strictly by class (`offers.py`); where the receiver's own line is what is scarce,
all that holds the others back is what they do not ask for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from attrs import frozen

from p2pacs.limits import CHUNK_BYTES
from p2pacs.swarm.scheduling.priority import Priority


@frozen
class DownlinkTuning:
    """How less urgent transfers make room."""

    first_seconds: float = 5.0
    """Who has become urgent has the line alone for so long: what was asked for before has come by
    then, and its own rate is known."""
    share: float = 0.85
    """Others may ask for what it then leaves of this part of the rate: so there is room for it to
    show that it can be faster."""
    burst_bytes: int = 2 * CHUNK_BYTES
    """So much may be saved up until somebody offers something."""


TUNING: Final = DownlinkTuning()
"""What is used unless a test hands in another."""


@frozen
class RunningTransfer:
    """A transfer that waits for something, or has just begun."""

    priority: Priority
    since: float
    """When it became so urgent."""
    rate: float
    """Bytes a second that it gets over the line."""


class DownlinkShare:
    """How much each class may ask for."""

    def __init__(self, tuning: DownlinkTuning = TUNING) -> None:
        self.tuning = tuning
        self._saved: dict[Priority, tuple[float, float]] = {}
        """Bytes that may be asked for (negative: too much was), and when."""

    def allowance(
        self, priority: Priority, running: Iterable[RunningTransfer], rate: float, now: float
    ) -> float:
        """Bytes that a transfer of this priority may ask for over the line; `math.inf`: any.

        Args:
            priority: The transfer's.
            running: All of the host.
            rate: Bytes a second that the line down carries.
            now: The present.
        """
        before = [one for one in running if one.priority > priority]
        if not before:
            self._saved.pop(priority, None)
            return math.inf
        begin = max(one.since for one in before) + self.tuning.first_seconds
        saved, at = self._saved.get(priority, (0.0, begin))
        at = max(at, begin)
        spare = max(0.0, self.tuning.share * rate - sum(one.rate for one in before))
        saved = min(self.tuning.burst_bytes, saved + spare * max(0.0, now - at))
        self._saved[priority] = saved, max(now, at)
        return saved

    def asked(self, priority: Priority, size: int) -> None:
        """So much was asked for, if `allowance` has a limit."""
        if priority in self._saved:
            saved, at = self._saved[priority]
            self._saved[priority] = saved - size, at
