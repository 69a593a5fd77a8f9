"""Studies that others sent to this hospital, as pages ask for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Final

import trio

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.identity.book import DirectoryBook
from p2pacs.ids import StudyId
from p2pacs.pages.search.found_studies import PAGE
from p2pacs.pages.search.search_form import PAGES
from peer.pages.search.sender_words import ShownSender
from peer.retrieval.sent_here import SentHere, StudiesSentHere

LISTED: Final = PAGE * PAGES
"""Of all that were sent, the last ones: so many studies a search has at most."""

COUNTED: Final = 100
"""Of those that nobody read yet: more than this nobody counts."""


class SentListing:
    """What was sent to this hospital, and is in its catalogue."""

    def __init__(
        self, sent_here: StudiesSentHere, catalogue: CatalogueIndex, book: DirectoryBook
    ) -> None:
        """A listing.

        Args:
            sent_here: who sent what.
            catalogue: what may be found.
            book: names the members.
        """
        self._sent_here = sent_here
        self._catalogue = catalogue
        self._book = book

    async def of(self, studies: Collection[StudyId]) -> Mapping[StudyId, ShownSender]:
        """Who sent those of these that were sent here."""
        directory = self._book.directory
        found = await self._sent_here.find(studies)
        return {study: ShownSender.of(one, directory) for study, one in found.items()}

    async def in_order(self) -> list[StudyId]:
        """All of them: those that nobody has read first, of these the emergencies; each part the
        newest first."""
        found = await self._sent_here.newest(LISTED)
        return [one.study for one in sorted(found, key=_place)]

    async def unread(self) -> Sequence[SentHere]:
        """Those that nobody here has read yet, and that can be."""
        found = await self._sent_here.newest(COUNTED, unread=True)
        return await trio.to_thread.run_sync(partial(_known, self._catalogue, found))


def _place(one: SentHere) -> tuple[bool, bool]:
    """Where it stands; what comes by its time stays so within a place."""
    return one.is_read, not one.is_read and not one.is_stat


def _known(catalogue: CatalogueIndex, found: Sequence[SentHere]) -> list[SentHere]:
    return [one for one in found if catalogue.get(one.study) is not None]
