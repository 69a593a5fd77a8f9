"""Which of many failures are worth a line in a log or trail: the 1st, 10th, 100th, … Pure."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from attrs import define, frozen

EVERYBODY: Final = ""
"""Whose count stands for all, where too many fail for a line each."""


@frozen
class TallyTuning:
    """How many lines there may be."""

    window: float = 3600.0
    """Seconds after which counting starts anew."""
    lines: int = 60
    """Lines in one window for single addresses; the rest is counted together."""
    sources: int = 1024
    """Addresses that are counted at the same time."""


@frozen
class Told:
    """A line that is worth writing."""

    source: str
    """The address, or `EVERYBODY`."""
    count: int
    """Failures from there since the window began."""


@define
class _Window:
    began: float
    lines: int = 0
    others: int = 0


class Tally:
    """Counts failures by where they come from; writes few of them.

    A stranger's 3,000 failures are four lines, those of a thousand strangers 64.
    """

    def __init__(self, tuning: TallyTuning | None = None) -> None:
        self._tuning = tuning or TallyTuning()
        self._window = _Window(0.0)
        self._counts: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def failed(self, source: str, at: float) -> Told | None:
        """Count a failure; what to write of it, if anything."""
        if at - self._window.began >= self._tuning.window or not self._counts:
            self._window = _Window(at)
            self._counts.clear()
        count = self._counts.pop(source, 0) + 1
        self._counts[source] = count
        if len(self._counts) > self._tuning.sources:
            self._counts.popitem(last=False)
        if not _is_power_of_ten(count):
            return None
        if self._window.lines < self._tuning.lines:
            self._window.lines += 1
            return Told(source, count)
        self._window.others += 1
        if not _is_power_of_ten(self._window.others):
            return None
        return Told(EVERYBODY, self._window.others)


def _is_power_of_ten(count: int) -> bool:
    while count >= 10 and count % 10 == 0:
        count //= 10
    return count == 1
