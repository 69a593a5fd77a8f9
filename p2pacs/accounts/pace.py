"""How fast passwords may be tried: attempts are spaced out, never locked out. Pure.

Failures in a row make the space between two attempts of one subject (an address, an account)
grow up to a few seconds; the right password waits its turn and is then taken. An attempt counts
as failed from when it is made until it is known to have succeeded, so that a hundred at once are
spaced, too. Nothing is reserved ahead: who gives up while it waits has taken no turn from others.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from attrs import define, frozen

SUBJECTS: Final = 4096
"""Subjects that are remembered: those that tried last (about 1 MB)."""


@frozen
class PaceTuning:
    """Spaces between attempts."""

    free: int
    """Failures that cost nothing: people mistype."""
    first: float
    """Seconds between two attempts after that; it doubles with every failure."""
    longest: float
    """Seconds at most."""
    forgotten: float = 3600.0
    """Seconds without an attempt after which a subject's failures are forgotten."""

    def space_after(self, failures: int) -> float:
        """Seconds from one attempt to the next after so many failures in a row."""
        if failures < self.free:
            return 0.0
        return min(self.first * 2.0 ** min(failures - self.free, 30), self.longest)


OF_SOURCE: Final = PaceTuning(free=5, first=1.0, longest=10.0)
"""Of one network address or browser: 8,640 guesses a day at most."""

OF_ACCOUNT: Final = PaceTuning(free=20, first=0.5, longest=2.0)
"""Of one account from all strange addresses together: 43,200 guesses a day at most. Short, as
somebody who is right waits for it, too."""

OF_CODE: Final = PaceTuning(free=5, first=2.0, longest=300.0)
"""Of the second factor of one account from strange browsers together, or from a known one: 288
guesses a day at most, of which each finds one of three codes in a million. Long, as whoever guesses
knows the password already."""


@define
class _Subject:
    failures: int
    last: float
    free_at: float


class Pace:
    """The spaces of many subjects."""

    def __init__(self, tuning: PaceTuning, most: int = SUBJECTS) -> None:
        self._tuning = tuning
        self._most = most
        self._subjects: OrderedDict[bytes, _Subject] = OrderedDict()

    def __len__(self) -> int:
        return len(self._subjects)

    def next_turn(self, who: bytes, at: float) -> float:
        """When the next attempt may be made (the same clock, seconds); nothing is counted yet."""
        one = self._subjects.get(who)
        return at if one is None else max(at, one.free_at)

    def take(self, who: bytes, at: float) -> None:
        """An attempt is made now: it counts, and the next one has its space after it."""
        one = self._subjects.pop(who, None)
        if one is None or at - one.last > self._tuning.forgotten:
            one = _Subject(0, at, at)
        one.failures += 1
        one.last = at
        one.free_at = at + self._tuning.space_after(one.failures)
        self._subjects[who] = one
        while len(self._subjects) > self._most:
            self._subjects.popitem(last=False)

    def space(self, who: bytes) -> float:
        """Seconds from its last attempt to its next at least."""
        one = self._subjects.get(who)
        return 0.0 if one is None else self._tuning.space_after(one.failures)

    def succeeded(self, who: bytes) -> None:
        """Forget the failures."""
        self._subjects.pop(who, None)
