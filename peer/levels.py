"""Which instances of a study can be shown at which level, as their chunks come. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import define, frozen

from peer.index import Known


class Have(Protocol):
    """The chunks that are here."""

    def __contains__(self, number: int, /) -> bool: ...


@frozen
class Reached:
    """News of an instance."""

    known: Known
    level: int | None
    """The finest that is here; None: it is known, and nothing of it can be shown yet."""


@define
class _Climb:
    """How far one instance is."""

    known: Known
    here: int = 0
    """Levels that are here, counted from the coarsest."""

    def rise(self, have: Have) -> bool:
        """Go on to the finest level that is here; whether it is finer than before."""
        before = self.here
        for _, chunks in self.known.levels[before:]:
            if not all(number in have for number in chunks):
                break
            self.here += 1
        return self.here > before

    @property
    def whole(self) -> bool:
        return self.here == len(self.known.levels)

    @property
    def level(self) -> int | None:
        return self.known.levels[self.here - 1][0] if self.here else None


class Levels:
    """The levels of all instances of a study, as far as they were told."""

    def __init__(self) -> None:
        self._climbs: dict[int, _Climb] = {}
        self._rising: list[_Climb] = []

    @property
    def previews(self) -> int:
        """Instances that can be shown at some level."""
        return sum(climb.here > 0 for climb in self._climbs.values())

    @property
    def whole(self) -> bool:
        """Whether every instance is here at its finest level."""
        return not self._rising

    def news(self, known: Sequence[Known], have: Have) -> list[Reached]:
        """What is new since the last call: first instances, new or changed, then finer levels.

        Args:
            known: The instances known by now; number n is at n - 1.
            have: The chunks that are here.
        """
        fresh = [_Climb(one) for one in known if self._is_new(one)]
        for climb in fresh:
            climb.rise(have)
            self._climbs[climb.known.number] = climb
        rising = [one for one in self._rising if self._climbs[one.known.number] is one]
        risen = [climb for climb in rising if climb.rise(have)]
        self._rising = [climb for climb in (*rising, *fresh) if not climb.whole]
        return [Reached(climb.known, climb.level) for climb in (*fresh, *risen)]

    def _is_new(self, known: Known) -> bool:
        climb = self._climbs.get(known.number)
        return climb is None or climb.known is not known
