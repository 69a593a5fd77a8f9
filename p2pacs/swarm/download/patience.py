"""When a download looks for more, and when it gives up. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen


@frozen
class DownloadTuning:
    """When a download looks for more, and when it gives up."""

    tick_seconds: float = 0.5
    """How often deadlines and pauses are looked at."""
    without_seconds: float = 3.0
    """After this long without anything on its way, more members are asked for what is missing."""
    hope_seconds: float = 30.0
    """A transfer fails after this long without anybody who has what is missing ..."""
    silent_seconds: float = 90.0
    """... while those who have it are linked and silent (a line is down), after this long ..."""
    publishing_seconds: float = 300.0
    """... or, while the broker is linked and the study still grows, after this long."""

    def gives_up(self, still: float, *, publishing: bool, awaited: Callable[[], bool]) -> bool:
        """Whether a transfer fails after so many seconds without anything new.

        Args:
            still: seconds.
            publishing: the study still grows, and a broker is linked.
            awaited: whether somebody who has what is missing is linked; it goes through all
                chunks, so it is asked last.
        """
        patience = self.publishing_seconds if publishing else self.hope_seconds
        return still >= patience and (still >= self.silent_seconds or not awaited())


TUNING: Final = DownloadTuning()
"""What is used unless a test hands in another."""
