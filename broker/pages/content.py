"""What the pages show of the running broker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from broker.members.holding import Holding
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.ids import StudyId, VirtualAddress


class MemberKnowledge(Protocol):
    """What members say that they are and hold (`broker.handlers.members_now.MembersNow`)."""

    def program(self, member: VirtualAddress) -> str:
        """The program and version that a linked member says it is; else empty."""

    def studies(
        self, member: VirtualAddress, skipped: int, most: int
    ) -> Sequence[tuple[StudyId, bool]]:
        """Some of the studies that a member holds or fetches, the latest first; and whether it
        holds all of each."""

    async def holding(self, member: VirtualAddress) -> Holding:
        """How much a member holds."""


@frozen
class AdminContent:
    """The parts of the broker that pages show."""

    catalogue: CatalogueIndex
    members: MemberKnowledge
