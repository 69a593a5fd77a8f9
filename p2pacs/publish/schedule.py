"""When a growing publication is cut into a version (pure)."""

from __future__ import annotations

from typing import Final

from p2pacs.limits import MIB

CUT_SECONDS: Final = 1.0
"""A version follows the one before after this time: each costs a signature and an fsync."""

SECOND_SECONDS: Final = 0.6
"""The second version follows the first after this time: what the first one has, most often one
image, keeps a line of 800 kbit/s busy for 0.9 s, and what is new takes 0.2 s until it is listed and
chosen."""

CUT_BYTES: Final = 8 * MIB
"""Or after this much, so that little is held in memory."""

_SLOWER: Final = 64
"""After so many versions they come half as often, and again."""

_SLOWEST_SECONDS: Final = 8.0


class CutSchedule:
    """First as soon as there is anything, then by time or size, then less and less often.

    A study has a bounded number of index parts, one a version: over hours a PACS that sends
    slowly must not use them up.
    """

    def __init__(self, now: float) -> None:
        self._last = now
        self._cuts = 0

    @property
    def due(self) -> float:
        """When the next cut is due if there is anything to cut."""
        return self._last + self._pause if self._cuts else self._last

    @property
    def _pause(self) -> float:
        if self._cuts == 1:
            return SECOND_SECONDS
        doublings = self._cuts // _SLOWER
        return min(CUT_SECONDS * 2.0 ** min(doublings, 8), _SLOWEST_SECONDS)

    def is_due(self, now: float, pending: int) -> bool:
        """Whether to cut now.

        Args:
            now: clock, seconds.
            pending: bytes appended since the last cut.
        """
        return pending >= CUT_BYTES or now >= self.due

    def later(self, now: float) -> None:
        """A cut that is due by its time alone is looked at again after a pause."""
        self._last = now if self._cuts else now + CUT_SECONDS

    def cut(self, now: float) -> None:
        """A version was cut."""
        self._last = now
        self._cuts += 1
