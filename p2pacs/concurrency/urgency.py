"""Who is next where several wait: the more urgent, and nobody waits for ever. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

from attrs import define

T = TypeVar("T")

USUAL_LEVEL: Final = 2
"""Somebody waits (`p2pacs.swarm.scheduling.priority.Priority.INTERACTIVE`)."""

FAIR_TURNS: Final = 8
"""Of so many turns one goes to who has waited longest, however urgent others are."""


@define(eq=False)
class Haste:
    """How urgent something is now: whoever waits for it is looked at anew at each turn."""

    level: int = USUAL_LEVEL
    """As `p2pacs.swarm.scheduling.priority.Priority`: higher ones come first."""


USUAL: Final = Haste()
"""Of whatever nobody said anything else of; never changed."""


def anyone(urgency: Haste) -> bool:
    """All who wait."""
    del urgency
    return True


class TurnQueue(Generic[T]):
    """Things that wait for their turn: the most urgent first, equally urgent ones as they came."""

    def __init__(self) -> None:
        self._lines: dict[Haste, deque[tuple[int, T]]] = {}
        self._came = 0
        self._back = 0
        self._turns = 0

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def __iter__(self) -> Iterator[T]:
        """All, in no order."""
        return (item for line in self._lines.values() for _, item in line)

    def add(self, item: T, urgency: Haste = USUAL) -> None:
        """Something waits from now on."""
        self._came += 1
        self._lines.setdefault(urgency, deque()).append((self._came, item))

    def put_back(self, item: T, urgency: Haste = USUAL) -> None:
        """Something that had its turn waits again, before all that are as urgent."""
        self._back -= 1
        self._lines.setdefault(urgency, deque()).appendleft((self._back, item))

    def remove(self, item: T) -> bool:
        """Something waits no more; whether it did."""
        for urgency, line in self._lines.items():
            for entry in line:
                if entry[1] is item:
                    line.remove(entry)
                    if not line:
                        del self._lines[urgency]
                    return True
        return False

    def next(self, among: Callable[[Haste], bool] = anyone) -> T | None:
        """Whose turn it is; None if nothing waits."""
        urgency = self._first(among)
        return None if urgency is None else self._lines[urgency][0][1]

    def take(self, among: Callable[[Haste], bool] = anyone) -> T:
        """It has its turn; something waits."""
        urgency = self._first(among)
        if urgency is None:
            raise LookupError("nothing waits")
        _, item = self._lines[urgency].popleft()
        if not self._lines[urgency]:
            del self._lines[urgency]
        self._turns += 1
        return item

    def _first(self, among: Callable[[Haste], bool]) -> Haste | None:
        lines = [(one, line[0][0]) for one, line in self._lines.items() if among(one)]
        is_fair = self._turns % FAIR_TURNS == FAIR_TURNS - 1
        key = _waited if is_fair else _urgent
        return min(lines, key=key)[0] if lines else None


def _waited(line: tuple[Haste, int]) -> int:
    return line[1]


def _urgent(line: tuple[Haste, int]) -> tuple[int, int]:
    return -line[0].level, line[1]
