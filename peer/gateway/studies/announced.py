"""What the catalogue tells of a study that is retrieved, against what was published of it."""

from __future__ import annotations

from typing import Final, Protocol

import trio
from attrs import define, field

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.question import Selection
from p2pacs.catalogue.records import StudyRecord
from p2pacs.ids import StudyId
from peer.gateway.studies.wanted import promised

NEWS: Final = 3.0
"""Seconds at most that the catalogue is waited for where it tells of more than a study has."""


class CatalogueWatch(Protocol):
    """Tells when the catalogue has changed (`peer.sync.catalogue.CatalogueFollower`)."""

    @property
    def pages(self) -> int:
        """How many pages of its feed were taken over."""

    async def further(self, since: int, /) -> None:
        """Until it is more than so many."""


@define(eq=False)
class Announced:
    """Says how many instances of what is asked for the catalogue tells of."""

    catalogue: CatalogueIndex
    news: CatalogueWatch
    selection: Selection
    _told: tuple[StudyId, int, int] | None = field(default=None, init=False)
    """Of which study, after how many pages, and how many instances."""
    _begun: int = field(init=False)
    """Pages that there were before anything was looked up."""

    @_begun.default
    def _pages_before(self) -> int:
        return self.news.pages

    def take(self, record: StudyRecord) -> None:
        """What the catalogue said of a study since this was made: it is not looked up again."""
        self._told = record.study, self._begun, promised(self.selection, record)

    async def count(self, study: StudyId) -> int:
        """By now; 0 if it does not tell."""
        pages = self.news.pages
        if self._told is None or self._told[:2] != (study, pages):
            record = await trio.to_thread.run_sync(self.catalogue.get, study)
            count = 0 if record is None else promised(self.selection, record)
            self._told = study, pages, count
        return self._told[2]

    async def beyond(self, study: StudyId, has: int, patience: float = NEWS) -> int:
        """How many more than there are. Its news and that of a version come each by itself: a
        moment is left for both to be here."""
        pages = self.news.pages
        short = max(0, await self.count(study) - has)
        if short and patience:
            with trio.move_on_after(patience):
                while short:
                    await self.news.further(pages)
                    pages = self.news.pages
                    short = max(0, await self.count(study) - has)
        return short
