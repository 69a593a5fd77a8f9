"""What the running broker knows of studies beside its database: for the pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from broker.handlers.interfaces import Parts
from broker.publish import Publisher
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.publish import PublishProgress
from p2pacs.store import StudyInfo
from p2pacs.study.manifest import Root, load_root


@frozen
class StudiesNow:
    """Publications, copies, and what is here."""

    parts: Parts
    publisher: Publisher

    @property
    def publications(self) -> Mapping[StudyId, PublishProgress]:
        """Those under way, and the last ones that ended."""
        return self.publisher.publications

    def copies(self, study: StudyId) -> Sequence[tuple[VirtualAddress, bool | None]]:
        """Members that have the study, and whether in whole; None: it may fetch it now."""
        holders = self.parts.holders
        return [
            (member, holders.is_whole(member, study) if study in holders.held_by(member) else None)
            for member in holders.of(study)
        ]

    def here(self, study: StudyId) -> StudyInfo | None:
        """What the broker's own store has of it."""
        return self.parts.store.info(study)

    async def root(self, study: StudyId) -> Root | None:
        """The newest version in the broker's own store.

        Raises:
            LocalError: the store cannot be read.
        """
        if not self.parts.store.holds(study):
            return None
        files = await self.parts.store.study(study)
        return None if files.root is None else load_root(files.root, self.parts.broker_keys, study)

    def publish(self, uid: str) -> None:
        """Have a study published, or everything of it read from the PACS and compared anew.

        Raises:
            StateError: the broker is not running.
        """
        self.publisher.stage(uid, everything=True)
