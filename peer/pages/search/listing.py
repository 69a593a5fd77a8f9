"""The studies that somebody looks for, page by page, newest first, and where each of them is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

import trio
from attrs import frozen

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.records import StudyRecord
from p2pacs.catalogue.views import study_view
from p2pacs.errors import StudyNotFoundError
from p2pacs.ids import StudyId
from p2pacs.languages import _
from p2pacs.pages.search.found_studies import ListedStudy, find_studies
from p2pacs.pages.search.search_form import StudySearch
from p2pacs.swarm.download.transfer import Transfer
from peer.pages.search.held_parts import HeldParts
from peer.pages.search.presence import StudyPresence, presence_of
from peer.pages.search.sender_words import ShownSender
from peer.pages.search.sent_listing import SentListing


@frozen
class StudyRow(ListedStudy):
    """One study, and where it is."""

    where: StudyPresence
    sender: ShownSender | None
    """Who sent it to this hospital; None: it was not sent here."""


@frozen
class StudyPage:
    """A page of what was found."""

    rows: list[StudyRow]
    number: int
    """From 1."""
    more: bool


class StudyListing:
    """The catalogue, as pages ask it."""

    def __init__(
        self,
        catalogue: CatalogueIndex,
        held: HeldParts,
        sent: SentListing,
        transfers: Mapping[StudyId, Transfer],
        *,
        paused: Callable[[], frozenset[StudyId]],
        check_membership: Callable[[], None],
    ) -> None:
        """A listing.

        Args:
            catalogue: what may be found.
            held: what is here.
            sent: what was sent here.
            transfers: under way, and the last ones that ended.
            paused: which somebody paused.
            check_membership: raises a RevokedError where this member was revoked.
        """
        self._catalogue = catalogue
        self.held = held
        """What is here."""
        self.sent = sent
        """What was sent to this hospital."""
        self._transfers = transfers
        self._paused = paused
        self._check_membership = check_membership

    async def find(self, search: StudySearch, page: int, today: date) -> StudyPage:
        """A page of the studies that match.

        Raises:
            RevokedError: this member was revoked.
            UsageError: a field of the search holds what cannot be, or there is no such page.
        """
        self._check_membership()
        among = await self.sent.in_order() if search.is_sent else None
        found = await find_studies(self._catalogue, search, page, today, among=among)
        senders = await self.sent.of([record.study for record in found.records])
        rows = [await self._row(one, senders.get(one.study)) for one in found.records]
        return StudyPage(rows, page, found.more)

    async def get(self, study: StudyId) -> StudyRecord:
        """The record of a study.

        Raises:
            RevokedError: this member was revoked.
            StudyNotFoundError: there is none, as far as this peer may know.
        """
        self._check_membership()
        record = await trio.to_thread.run_sync(self._catalogue.get, study)
        if record is None:
            raise StudyNotFoundError(_("there is no such study in the catalogue here"))
        return record

    async def row(self, record: StudyRecord) -> StudyRow:
        """A study with where it is, and who sent it."""
        return await self._row(record, (await self.sent.of([record.study])).get(record.study))

    async def _row(self, record: StudyRecord, sender: ShownSender | None) -> StudyRow:
        where = await self.where(record.study, record.version)
        return StudyRow(record.study, record.uid, study_view(record), where, sender)

    async def where(self, study: StudyId, version: int) -> StudyPresence:
        """Where a study is, of which the catalogue tells this version."""
        transfer = self._transfers.get(study)
        paused = study in self._paused()
        return presence_of(version, await self.held.of(study), transfer, paused=paused)
