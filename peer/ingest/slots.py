"""Which studies are published at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import define, field

from p2pacs.concurrency.urgency import Haste, TurnQueue
from p2pacs.swarm.scheduling.priority import Priority


@define(eq=False)
class _Waiting:
    is_stat: bool = False
    """Which kind of place it got."""
    turn: trio.Event = field(factory=trio.Event)


class Slots:
    """Places of two kinds, as many of each: STAT studies have their own, as others keep theirs for
    as long as a scanner sends; so neither waits for the other."""

    def __init__(self, count: int) -> None:
        self._free = {True: count, False: count}
        self._waiting = TurnQueue[_Waiting]()

    @asynccontextmanager
    async def turn(self, urgency: Haste) -> AsyncIterator[None]:
        """Have a place for this block; whoever is more urgent is given one before."""
        waiting = _Waiting()
        self._waiting.add(waiting, urgency)
        self.look()
        try:
            await waiting.turn.wait()
            yield
        finally:
            if waiting.turn.is_set():
                self._free[waiting.is_stat] += 1
            else:
                self._waiting.remove(waiting)
            self.look()

    def look(self) -> None:
        """Something is free, or somebody who waits has become more urgent."""
        for is_stat, among in ((True, _is_stat), (False, _is_other)):
            while self._free[is_stat] and self._waiting.next(among) is not None:
                self._free[is_stat] -= 1
                one = self._waiting.take(among)
                one.is_stat = is_stat
                one.turn.set()


def _is_stat(urgency: Haste) -> bool:
    return urgency.level >= Priority.STAT


def _is_other(urgency: Haste) -> bool:
    return not _is_stat(urgency)
