"""Which members one transfer keeps links to. Pure: no clock, no I/O.

Not all: among many, a handshake with everybody and news to everybody would cost more than the
few more choices are worth. Members meet in an order drawn by lot, so that every swarm hangs
together whoever is missing.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from typing import Final

from p2pacs.ids import VirtualAddress

NEIGHBOURS: Final = 12
"""Links that a transfer seeks; more come from those that seek this member."""

TRY_SECONDS: Final = 3.0
"""A member that is not linked after this long does not count: another one is tried, too."""

STARVED_MORE: Final = 4
"""So many more are tried at a time while none that is linked has what is missing."""


class Neighbours:
    """The members known to hold or fetch a study, and which of them are sought."""

    def __init__(self, me: VirtualAddress, seed: bytes) -> None:
        """Nobody is known yet.

        Args:
            me: Never sought.
            seed: What makes the lots of this member its own.
        """
        self.sought: dict[VirtualAddress, float] = {}
        """Members to whom a link is to be held, with since when."""
        self._random = random.Random(seed)  # noqa: S311 (no secret)
        self._known: set[VirtualAddress] = {me}
        self._others: list[VirtualAddress] = []

    def add(self, members: Iterable[VirtualAddress]) -> None:
        """These hold or fetch the study."""
        for member in members:
            if member not in self._known:
                self._known.add(member)
                place = self._random.randint(0, len(self._others))
                self._others.insert(place, member)

    def seek(
        self, linked: Collection[VirtualAddress], now: float, *, starved: bool = False
    ) -> list[VirtualAddress]:
        """Whom to seek from now on, too.

        Args:
            linked: Members that take part and are linked, whoever dialled.
            now: The present.
            starved: Nobody who is linked has what is missing.
        """
        trying = sum(
            member not in linked and now < since + TRY_SECONDS
            for member, since in self.sought.items()
        )
        room = NEIGHBOURS - len(linked) - trying
        if starved and not trying:
            room = max(room, STARVED_MORE)
        found: list[VirtualAddress] = []
        for member in self._others:
            if len(found) >= room:
                break
            if member not in linked and member not in self.sought:
                found.append(member)
        self.sought.update(dict.fromkeys(found, now))
        return found
