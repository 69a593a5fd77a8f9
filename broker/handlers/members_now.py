"""What the running broker knows of its members beside its database: for the pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

import trio
from attrs import field, frozen

from broker.database.db import now
from broker.handlers.tracker import HolderTracker
from broker.members.holding import Holding, LastTold
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.store import ChunkStore
from p2pacs.swarm.host import Services, both


@frozen
class MembersNow:
    """What members say that they are and hold, as long as they are linked; and what they said last,
    since the broker's start."""

    holders: HolderTracker
    store: ChunkStore
    agents: Mapping[VirtualAddress, str]
    """`p2pacs.swarm.host.Host.agents`."""
    told: dict[VirtualAddress, LastTold] = field(factory=dict)
    """By members that were linked; of one that is, what it said when it came."""
    clock: Callable[[], int] = now
    step: int = 1000
    """Studies that are counted before others have their turn: a replica holds a hundred
    thousand."""

    def program(self, member: VirtualAddress) -> str:
        """The program and version that a linked member says it is; else empty."""
        return self.agents.get(member, "")

    def enter(self, services: Services) -> None:
        """Hear of links before those who do already: they forget what a member held."""
        services.linked = both(self.came, services.linked)
        services.unlinked = both(self.left, services.unlinked)

    def came(self, member: VirtualAddress) -> None:
        """A member was linked."""
        self.told[member] = LastTold(self.clock(), self.program(member), 0)

    def left(self, member: VirtualAddress) -> None:
        """Its link ends; what it holds is still known."""
        before = self.told.get(member)
        if before is not None:
            count = len(self.holders.held_by(member))
            self.told[member] = LastTold(self.clock(), before.program, count)

    def last(self, member: VirtualAddress) -> LastTold | None:
        """What a member that is not linked said last; None: nothing since the broker's start."""
        return self.told.get(member)

    def studies(
        self, member: VirtualAddress, skipped: int, most: int
    ) -> Sequence[tuple[StudyId, bool]]:
        """Some of the studies that a member holds or fetches, those that it told of last first;
        and whether it holds all of each.

        Args:
            member: its address.
            skipped: so many of them come before.
            most: so many are wanted.
        """
        latest = reversed(list(self.holders.held_by(member)))
        some = islice(latest, skipped, skipped + most)
        return [(study, self.holders.is_whole(member, study)) for study in some]

    async def holding(self, member: VirtualAddress) -> Holding:
        """How much a member holds."""
        found = Holding()
        for place, study in enumerate(list(self.holders.held_by(member)), start=1):
            info = self.store.info(study)
            whole = self.holders.is_whole(member, study)
            found = found.plus(whole=whole, size=None if info is None else info.bytes)
            if place % self.step == 0:
                await trio.lowlevel.checkpoint()
        return found
