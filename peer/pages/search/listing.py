"""The studies that somebody looks for, page by page, newest first, and where each of them is."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from itertools import groupby, islice
from typing import Final

import trio
from attrs import field, frozen

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.find import matching
from p2pacs.catalogue.question import Question
from p2pacs.catalogue.records import StudyRecord
from p2pacs.catalogue.views import study_view
from p2pacs.dataset.json_model import Json, number, text, texts
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import StudyNotFoundError, UsageError
from p2pacs.ids import StudyId
from p2pacs.swarm.download.transfer import Transfer
from peer.pages.search.held_parts import HeldParts
from peer.pages.search.presence import StudyPresence, presence_of
from peer.pages.search.search_form import PAGES, StudySearch

PAGE: Final = 25
"""Studies on one page."""

SEARCHES: Final = 512
"""Searches that are remembered, of all who are signed in."""


@frozen
class StudyRow:
    """One study, as a list or its own page shows it."""

    study: StudyId
    uid: str = field(repr=False)
    view: Json = field(repr=False)
    where: StudyPresence

    def text(self, keyword: str) -> str:
        """An attribute; empty if it is not known."""
        return text(self.view, keyword)

    @property
    def modalities(self) -> str:
        """Modalities in Study."""
        return " ".join(texts(self.view, "ModalitiesInStudy"))

    @property
    def images(self) -> int | None:
        """How many it has, as far as that is known."""
        return number(self.view, "NumberOfStudyRelatedInstances")


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
        transfers: Mapping[StudyId, Transfer],
        paused: Callable[[], frozenset[StudyId]],
        check_membership: Callable[[], None],
    ) -> None:
        """A listing.

        Args:
            catalogue: what may be found.
            held: what is here.
            transfers: under way, and the last ones that ended.
            paused: which somebody paused.
            check_membership: raises a RevokedError where this member was revoked.
        """
        self._catalogue = catalogue
        self.held = held
        """What is here."""
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
        if not 0 < page <= PAGES:
            raise UsageError(f"a search has {PAGES} pages at most: narrow it")
        keys = search.keys(today)
        question = Question.of("STUDY", "STUDY", keys)
        records = await trio.to_thread.run_sync(self._page, question, keys, (page - 1) * PAGE)
        rows = [await self.row(record) for record in records[:PAGE]]
        return StudyPage(rows, page, len(records) > PAGE)

    def _page(self, question: Question, keys: Json, skipped: int) -> list[StudyRecord]:
        """In a worker thread: it reads the index."""
        newest = self._catalogue.newest(keys)
        known = self._catalogue.known
        found = (one for one in newest if any(matching([one], question, known)))
        return list(islice(latest_first(_once(found)), skipped, skipped + PAGE + 1))

    async def get(self, study: StudyId) -> StudyRecord:
        """The record of a study.

        Raises:
            RevokedError: this member was revoked.
            StudyNotFoundError: there is none, as far as this peer may know.
        """
        self._check_membership()
        record = await trio.to_thread.run_sync(self._catalogue.get, study)
        if record is None:
            raise StudyNotFoundError("there is no such study in the catalogue here")
        return record

    async def row(self, record: StudyRecord) -> StudyRow:
        """A study with where it is."""
        where = await self.where(record.study, record.version)
        return StudyRow(record.study, record.uid, study_view(record), where)

    async def where(self, study: StudyId, version: int) -> StudyPresence:
        """Where a study is, of which the catalogue tells this version."""
        transfer = self._transfers.get(study)
        paused = study in self._paused()
        return presence_of(version, await self.held.of(study), transfer, paused=paused)


def _once(records: Iterable[StudyRecord]) -> Iterator[StudyRecord]:
    """Each study once: one with two dates is found under both."""
    seen: set[StudyId] = set()
    for record in records:
        if record.study not in seen:
            seen.add(record.study)
            yield record


def latest_first(records: Iterable[StudyRecord]) -> Iterator[StudyRecord]:
    """Records that come by their dates, of each date the latest first."""
    key = tag("StudyDate")
    for _, same in groupby(records, key=lambda one: text(one.attributes, key)):
        yield from sorted(same, key=lambda one: text(one.attributes, "StudyTime"), reverse=True)


class SavedSearches:
    """What people looked for, under a random name: so that nothing of it is in a URL, and a page
    can be gone back to."""

    def __init__(self, most: int = SEARCHES) -> None:
        self._most = most
        self._searches: OrderedDict[str, tuple[str, StudySearch]] = OrderedDict()

    def save(self, account: str, search: StudySearch) -> str:
        """Remember a search; its name."""
        name = secrets.token_urlsafe(12)
        self._searches[name] = account, search
        if len(self._searches) > self._most:
            self._searches.popitem(last=False)
        return name

    def get(self, account: str, name: str) -> StudySearch | None:
        """A search of this account, if it is remembered."""
        owner, search = self._searches.get(name, ("", None))
        return search if owner == account else None
