"""The studies of a catalogue that somebody looks for, page by page, newest first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from functools import partial
from itertools import groupby, islice
from typing import Final

import trio
from attrs import field, frozen

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.find import matching
from p2pacs.catalogue.question import Question
from p2pacs.catalogue.records import StudyRecord
from p2pacs.dataset.json_model import Json, number, text, texts
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import UsageError
from p2pacs.ids import StudyId
from p2pacs.languages import _
from p2pacs.pages.search.search_form import PAGES, StudySearch

Matches = Callable[[StudyRecord], bool]
"""Whether a search finds a study."""

PAGE: Final = 25
"""Studies on one page."""


@frozen
class FoundStudies:
    """One page of them."""

    records: list[StudyRecord]
    number: int
    """From 1."""
    more: bool


@frozen
class ListedStudy:
    """One of them, as a list or its own page shows it; each program knows more of it."""

    study: StudyId
    uid: str = field(repr=False)
    view: Json = field(repr=False)

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


async def find_studies(
    catalogue: CatalogueIndex,
    search: StudySearch,
    number: int,
    today: date,
    *,
    among: Sequence[StudyId] | None = None,
) -> FoundStudies:
    """A page of the studies that match.

    Args:
        catalogue: what may be found.
        search: as it was typed.
        number: of the page, from 1.
        today: the date here.
        among: only these, in this order; None: all, newest first.

    Raises:
        UsageError: a field of the search holds what cannot be, or there is no such page.
    """
    if not 0 < number <= PAGES:
        raise UsageError(_("a search has %(count)s pages at most: narrow it", count=PAGES))
    keys = search.keys(today)
    question = Question.of("STUDY", "STUDY", keys)
    skipped = (number - 1) * PAGE
    find = partial(_newest, catalogue, keys) if among is None else partial(_of, catalogue, among)
    records = await trio.to_thread.run_sync(_page, catalogue, question, find, skipped)
    return FoundStudies(records[:PAGE], number, len(records) > PAGE)


def _page(
    catalogue: CatalogueIndex,
    question: Question,
    find: Callable[[Matches], Iterator[StudyRecord]],
    skipped: int,
) -> list[StudyRecord]:
    """In a worker thread: it reads the index."""
    known = catalogue.known
    found = find(lambda record: any(matching([record], question, known)))
    return list(islice(found, skipped, skipped + PAGE + 1))


def _newest(catalogue: CatalogueIndex, keys: Json, matches: Matches) -> Iterator[StudyRecord]:
    return latest_first(_once(filter(matches, catalogue.newest(keys))))


def _of(
    catalogue: CatalogueIndex, among: Sequence[StudyId], matches: Matches
) -> Iterator[StudyRecord]:
    records = (catalogue.get(study) for study in among)
    return (record for record in records if record is not None and matches(record))


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
    for _date, same in groupby(records, key=lambda one: text(one.attributes, key)):
        yield from sorted(same, key=lambda one: text(one.attributes, "StudyTime"), reverse=True)
