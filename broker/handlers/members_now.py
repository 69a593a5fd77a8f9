"""What the running broker knows of its members beside its database: for the pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

import trio
from attrs import frozen

from broker.handlers.tracker import HolderTracker
from broker.members.holding import Holding
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.store import ChunkStore


@frozen
class MembersNow:
    """What members say that they are and hold, as long as they are linked."""

    holders: HolderTracker
    store: ChunkStore
    agents: Mapping[VirtualAddress, str]
    """`p2pacs.swarm.host.Host.agents`."""
    step: int = 1000
    """Studies that are counted before others have their turn: a replica holds a hundred
    thousand."""

    def program(self, member: VirtualAddress) -> str:
        """The program and version that a linked member says it is; else empty."""
        return self.agents.get(member, "")

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
