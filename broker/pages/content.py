"""What the pages show of the running broker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from attrs import frozen

from broker.members.holding import Holding, LastTold
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.process.health import HealthCheck
from p2pacs.publish import PublishProgress
from p2pacs.store import StudyInfo
from p2pacs.study.manifest import Root


class MemberKnowledge(Protocol):
    """What members say that they are and hold (`broker.handlers.members_now.MembersNow`)."""

    def program(self, member: VirtualAddress) -> str:
        """The program and version that a linked member says it is; else empty."""

    def last(self, member: VirtualAddress) -> LastTold | None:
        """What a member that is not linked said last; None: nothing since the broker's start."""

    def studies(
        self, member: VirtualAddress, skipped: int, most: int
    ) -> Sequence[tuple[StudyId, bool]]:
        """Some of the studies that a member holds or fetches, the latest first; and whether it
        holds all of each."""

    async def holding(self, member: VirtualAddress) -> Holding:
        """How much a member holds."""


class StudyKnowledge(Protocol):
    """Publications and copies of studies (`broker.handlers.studies_now.StudiesNow`)."""

    @property
    def publications(self) -> Mapping[StudyId, PublishProgress]:
        """Those under way, and the last ones that ended."""

    def copies(self, study: StudyId) -> Sequence[tuple[VirtualAddress, bool | None]]:
        """Members that have the study, and whether in whole; None: it may fetch it now."""

    def here(self, study: StudyId) -> StudyInfo | None:
        """What the broker's own store has of it."""

    async def root(self, study: StudyId) -> Root | None:
        """The newest version in the broker's own store."""

    def publish(self, uid: str) -> None:
        """Have a study published, or compared anew with the PACS."""


@frozen
class AdminContent:
    """The parts of the broker that pages show."""

    catalogue: CatalogueIndex
    members: MemberKnowledge
    studies: StudyKnowledge
    health: Callable[[], Awaitable[Sequence[HealthCheck]]]
