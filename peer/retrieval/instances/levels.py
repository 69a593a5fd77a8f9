"""Which instances of a study can be shown at which level, as their chunks come. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import define, frozen

from peer.retrieval.instances.live_index import Known


class ChunksHere(Protocol):
    """The chunks that are here."""

    def __contains__(self, number: int, /) -> bool: ...


@frozen
class Reached:
    """News of an instance."""

    known: Known
    level: int | None
    """The finest that is here; None: it is known, and nothing of it can be shown yet."""


@define(eq=False)
class _Climb:
    """How far one instance is."""

    known: Known
    here: int = 0
    """Levels that are here, counted from the coarsest."""

    @property
    def level(self) -> int | None:
        """The finest that is here."""
        return self.known.levels[self.here - 1][0] if self.here else None

    def rise(self, have: ChunksHere) -> int | None:
        """Go on to the finest level that is here; a chunk that the next one lacks, if any."""
        for _, chunks in self.known.levels[self.here :]:
            missing = next((number for number in chunks if number not in have), None)
            if missing is not None:
                return missing
            self.here += 1
        return None


class Levels:
    """The levels of all instances of a study, as far as they were told.

    Each instance waits for one chunk at a time, so that a look at thousands costs little.
    """

    def __init__(self) -> None:
        self._climbs: dict[int, _Climb] = {}
        self._waiting: dict[int, list[_Climb]] = {}
        """Chunk that is missing → whose next level lacks it."""

    def __len__(self) -> int:
        return len(self._climbs)

    @property
    def previews(self) -> int:
        """Instances that can be shown at some level."""
        return sum(climb.here > 0 for climb in self._climbs.values())

    @property
    def whole(self) -> bool:
        """Whether every instance is here at its finest level."""
        return not self._waiting

    def news(self, known: Sequence[Known], have: ChunksHere) -> list[Reached]:
        """What is new since the last call: first instances, new or changed, then finer levels.

        Args:
            known: The instances known by now; number n is at n - 1.
            have: The chunks that are here.
        """
        fresh = [_Climb(one) for one in known if self._is_new(one)]
        if fresh:
            self._climbs |= {climb.known.number: climb for climb in fresh}
            self._forget_changed()
        arrived = [number for number in self._waiting if number in have]
        stirred = [climb for number in arrived for climb in self._waiting.pop(number)]
        told = [(climb, climb.here) for climb in stirred]
        for climb in (*fresh, *stirred):
            missing = climb.rise(have)
            if missing is not None:
                self._waiting.setdefault(missing, []).append(climb)
        risen = [climb for climb, before in told if climb.here > before]
        risen.sort(key=lambda climb: climb.known.number)
        return [Reached(climb.known, climb.level) for climb in (*fresh, *risen)]

    def _is_new(self, known: Known) -> bool:
        climb = self._climbs.get(known.number)
        return climb is None or climb.known is not known

    def _forget_changed(self) -> None:
        """What an instance was before it changed is waited for no longer."""
        current = set(self._climbs.values())
        kept = {
            number: [climb for climb in climbs if climb in current]
            for number, climbs in self._waiting.items()
        }
        self._waiting = {number: climbs for number, climbs in kept.items() if climbs}
