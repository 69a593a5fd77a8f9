"""Which members one transfer keeps links to. Pure: no clock, no I/O.

Not all: among many, a handshake with everybody and news to everybody would cost more than the
few more choices are worth. Members meet in an order drawn by lot, so that every swarm hangs
together whoever is missing.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection, Iterable
from typing import Final

from attrs import frozen

from p2pacs.ids import VirtualAddress


@frozen
class NeighboursTuning:
    """To how many links are sought, and when."""

    neighbours: int = 8
    """Links that a transfer seeks; more come from those that seek this member. With 12 instead of
    8, 32 hospitals took 1.204 instead of 1.163 times the limit: handshakes cost more than the
    choice is worth."""
    try_seconds: float = 3.0
    """A member that is not linked after this long does not count: another one is tried, too."""
    origins_seconds: float = 0.5
    """Replicas come first: others are sought when one is linked, or after this long."""
    dial_seconds: float = 0.15
    """Who came later dials at once; who is told of it leaves it this long. Of two that came
    together one dials then ..."""
    dialled_seconds: float = 2.0
    """... and the other after this: two handshakes cost the line three kilobytes more, in the
    moment in which nobody has anything yet."""
    starved_more: int = 4
    """So many more are tried at a time while none that is linked has what is missing."""


TUNING: Final = NeighboursTuning()
"""What is used unless a test hands in another."""


class Neighbours:
    """The members known to hold or fetch a study, and which of them are sought."""

    def __init__(
        self,
        me: VirtualAddress,
        seed: bytes,
        is_origin: Callable[[VirtualAddress], bool] = lambda _: False,
        tuning: NeighboursTuning = TUNING,
    ) -> None:
        """Nobody is known yet.

        Args:
            me: Never sought.
            seed: What makes the lots of this member its own.
            is_origin: Whether a member is a replica, which dials nobody that fetches.
            tuning: To how many, and when.
        """
        self._tuning = tuning
        self.sought: dict[VirtualAddress, float] = {}
        """Members to whom a link is to be held, with since when."""
        self._random = random.Random(seed)  # noqa: S311 (no secret)
        self._others: list[VirtualAddress] = []
        self._me = me
        self._is_origin = is_origin
        self._ripe: dict[VirtualAddress, float] = {}
        """All who are known, with when they may be sought."""
        self._begun: float | None = None
        """When somebody was sought for the first time."""

    def add(self, members: Iterable[VirtualAddress], now: float, *, later: bool = False) -> None:
        """These hold or fetch the study.

        Args:
            members: Who.
            now: The present.
            later: They may have come after this member: then they are dialling it.
        """
        for member in members:
            if member != self._me and member not in self._ripe:
                place = self._random.randint(0, len(self._others))
                self._others.insert(place, member)
                self._ripe[member] = now + (self._patience(member) if later else 0.0)

    def seek(
        self,
        linked: Collection[VirtualAddress],
        now: float,
        *,
        starved: bool = False,
        apart: Callable[[VirtualAddress], bool] = lambda _: False,
    ) -> list[VirtualAddress]:
        """Whom to seek from now on, too.

        Args:
            linked: Members that take part and are linked, whoever dialled.
            now: The present.
            starved: Nobody who is linked has what is missing.
            apart: Whether no link can be with a member, as was found a while ago: it is sought
                once nobody else is left.
        """
        if self._begun is None:
            self._begun = now
        trying = sum(
            member not in linked and now < since + self._tuning.try_seconds
            for member, since in self.sought.items()
        )
        room = self._tuning.neighbours - len(linked) - trying
        if starved and not trying:
            room = max(room, self._tuning.starved_more)
        first: list[VirtualAddress] = []
        if not linked and now < self._begun + self._tuning.origins_seconds:
            first = [member for member in self._others if self._is_origin(member)]
        found = [
            member
            for member in first or self._others
            if member not in linked and member not in self.sought and now >= self._ripe[member]
        ]
        found = sorted(found, key=apart)[: max(0, room)]
        self.sought.update(dict.fromkeys(found, now))
        return found

    def due(self, now: float) -> float:
        """When somebody may be sought who may not yet; infinite for never."""
        times = [at for member, at in self._ripe.items() if member not in self.sought]
        if self._begun is not None:
            times.append(self._begun + self._tuning.origins_seconds)
        return min((at for at in times if at > now), default=math.inf)

    def _patience(self, member: VirtualAddress) -> float:
        """How long a member that came later is left to dial, in seconds."""
        if self._is_origin(member):
            return 0.0
        return (
            self._tuning.dial_seconds if dials(self._me, member) else self._tuning.dialled_seconds
        )


def dials(one: VirtualAddress, other: VirtualAddress) -> bool:
    """Whether ``one`` dials, of two that both would: each does so for about half of the others."""
    even = (bytes(one)[-1] ^ bytes(other)[-1]) % 2 == 0
    return (one < other) == even
