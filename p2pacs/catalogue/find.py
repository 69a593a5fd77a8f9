"""C-FIND over catalogue records: the hierarchical search of PS3.4 C.4.1.3.1, pure.

An answer holds the keys that were asked for, the unique keys down to the level, and nothing
else; the caller adds from where to retrieve. At study level the keys of a series count, too: a
study matches if one of its series passes all of them.

What is not known of an entity cannot be matched: such a key lets it through, and its answer says
so (`p2pacs.dataset.answers`). A key is known of one that has it, with a value or empty, and of all
if it is one that the PACS is known to tell (`CatalogueIndex.known`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Set
from typing import Any, Final

from attrs import frozen
from pydicom.dataset import Dataset

from p2pacs.catalogue.matching import matcher
from p2pacs.catalogue.question import UNIQUE, Question, paired, upto
from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.catalogue.times import combined_test
from p2pacs.catalogue.views import (
    COUNTED,
    patient_records,
    patients,
    series_view,
    study_view,
)
from p2pacs.dataset.answers import FindAnswers
from p2pacs.dataset.from_json import to_dataset
from p2pacs.dataset.json_model import Json, entry, texts
from p2pacs.dataset.search_options import LITERAL, SearchOptions
from p2pacs.dataset.vocabulary import (
    INSTANCE_TAGS,
    PATIENT_COUNTS,
    REQUIRED_TAGS,
    QueryRoot,
    tag,
)

Test = Callable[[Json], bool]
Tests = dict[str, Test]
"""Key → what the attributes of an entity must pass."""

Match = tuple[Json, Set[str]]
"""All that is known of what matches, and the keys that could not be matched as it does not tell
them."""

_NOTHING: Final[Set[str]] = frozenset()

_MODALITY, _MODALITIES = tag("Modality"), tag("ModalitiesInStudy")
_SERIES_UID = tag("SeriesInstanceUID")


def find(
    records: Iterable[StudyRecord],
    identifier: Dataset,
    root: QueryRoot,
    known: Container[str] | None = None,
    options: SearchOptions = LITERAL,
) -> FindAnswers:
    """Answer a query at PATIENT, STUDY, SERIES or IMAGE level.

    Args:
        records: studies that may match (`CatalogueIndex.candidates` narrows them); with series
            and instances where the query is at their level.
        identifier: Query/Retrieve Level (0008,0052) and keys.
        root: information model.
        known: attributes of studies and series that one which does not have them has empty
            (`CatalogueIndex.known`); None: all.
        options: what was agreed on.

    Raises:
        UsageError: the identifier is invalid (status 0xA900); at once, before any answer.
    """
    question = Question.parse(identifier, root, options)
    ignored = set(question.unmatched)
    search = _Search.of(question, known, ignored)
    return FindAnswers(search.answers(records), ignored)


def matching(
    records: Iterable[StudyRecord], question: Question, known: Container[str] | None = None
) -> Iterator[Match]:
    """What matches a question, as it is known here; the arguments as `find` has them."""
    return _Search.of(question, known, set()).found(records)


def asks_for_all(question: Question) -> bool:
    """Whether no key asks for anything: whatever there is matches."""
    return not key_tests({**question.keys, **question.below}, question.options)


@frozen
class _Search:
    question: Question
    plain: Tests
    """Keys that the record itself answers."""
    counted: Tests
    """Keys that need a view of the whole entity."""
    of_series: Tests
    """Keys of series, at study level."""
    of_instances: Tests
    told: Container[str]
    """Keys that are known of every study and series: one that does not have it has it empty."""
    ignored: set[str]
    """Keys that did not count for the last answer."""
    unique: tuple[str, ...]

    @classmethod
    def of(cls, question: Question, known: Container[str] | None, ignored: set[str]) -> _Search:
        tests, below = (key_tests(of, question.options) for of in (question.keys, question.below))
        told = {
            key
            for key in (*tests, *below)
            if key not in PATIENT_COUNTS and (known is None or key in REQUIRED_TAGS or key in known)
        }
        plain = {key: tests[key] for key in tests if key not in COUNTED | INSTANCE_TAGS}
        counted = {key: tests[key] for key in tests if key in COUNTED}
        instances = {key: tests[key] for key in tests if key in INSTANCE_TAGS}
        unique = [UNIQUE[name] for name in upto(question.level) if name != "PATIENT"]
        if question.root == "PATIENT":
            unique.append(UNIQUE["PATIENT"])
        return cls(question, plain, counted, below, instances, told, ignored, tuple(unique))

    def found(self, records: Iterable[StudyRecord]) -> Iterator[Match]:
        level = self.question.level
        if level == "PATIENT":
            yield from self._patients(records)
            return
        find_in = {"STUDY": self._study, "SERIES": self._series, "IMAGE": self._images}[level]
        for record in records:
            for of_one in patient_records(record):
                yield from find_in(of_one)

    def answers(self, records: Iterable[StudyRecord]) -> Iterator[Dataset]:
        for view, untold in self.found(records):
            self.ignored.clear()
            self.ignored.update(self.question.unmatched, untold)
            yield self._answer(view)

    def _patients(self, records: Iterable[StudyRecord]) -> Iterator[Match]:
        for view in patients(records):
            untold = _untold(view, self.plain | self.counted, self.told)
            if untold is not None:
                yield view, untold

    def _study(self, record: StudyRecord) -> Iterator[Match]:
        """The study, with the asked keys of a series that passes."""
        untold = _untold(record.attributes, self.plain, self.told)
        if untold is None:
            return
        matching = self._one_series(record) if self.of_series else ({}, _NOTHING)
        if matching is None:
            return
        view = study_view(record)
        uncounted = _untold(view, self.counted, self.told)
        if uncounted is not None:
            of_series, unmatched = matching
            yield of_series | view, untold | unmatched | uncounted

    def _one_series(self, record: StudyRecord) -> Match | None:
        """The asked keys of the first series that passes, best one of which all of them are
        known; None if none does."""
        found: Match | None = None
        for one in record.series:
            view = one.attributes if _SERIES_UID in one.attributes else series_view(one)
            untold = _untold(view, self.of_series, self.told)
            if untold is None or (untold and found is not None):
                continue
            found = {key: view[key] for key in self.question.below if key in view}, untold
            if not untold:
                return found
        if record.series:
            return found
        # The series of this study are not listed here: only their modalities are known.
        modalities = {_MODALITY: record.attributes.get(_MODALITIES, entry("CS"))}
        is_other = _MODALITY in self.of_series and not self.of_series[_MODALITY](modalities)
        return None if is_other else ({}, self.of_series.keys() - {_MODALITY})

    def _series(self, record: StudyRecord) -> Iterator[Match]:
        """Views of the series that match, with what their study says."""
        study = study_view(record)
        for series in record.series:
            found = self._of_series(study, series)
            if found is not None:
                yield found

    def _of_series(self, study: Json, series: SeriesRecord) -> Match | None:
        view = study | series_view(series)
        untold = _untold(view, self.plain | self.counted, self.told)
        return None if untold is None else (view, untold)

    def _images(self, record: StudyRecord) -> Iterator[Match]:
        told = self.of_instances if record.instance_keys is None else record.instance_keys
        study = study_view(record)
        for series in record.series:
            if (found := self._of_series(study, series)) is None:
                continue
            view, untold = found
            for instance in series.instances:
                unmatched = _untold(instance, self.of_instances, told)
                if unmatched is not None:
                    yield view | instance, untold | unmatched

    def _answer(self, view: Json) -> Dataset:
        question = self.question
        chosen = {key: _returned(view.get(key), wanted) for key, wanted in question.keys.items()}
        for key, wanted in question.below.items():
            if key in view:
                chosen[key] = _returned(view[key], wanted)
        chosen |= {key: view[key] for key in self.unique if key in view}
        answer = to_dataset(chosen)
        answer.QueryRetrieveLevel = question.level
        return answer


def _untold(attributes: Json, tests: Tests, told: Container[str]) -> Set[str] | None:
    """The keys that cannot be matched, as this entity does not tell them; None if one of the
    others does not match.

    Args:
        attributes: of the entity. One that is there without a value is known to be empty.
        tests: what the keys ask for.
        told: keys that would be there if the entity had a value.
    """
    untold: set[str] = set()
    for key, test in tests.items():
        if key not in attributes and key not in told:
            untold.add(key)
        elif not test(attributes):
            return None
    return untold


def _passes(attributes: Json, tests: Tests) -> bool:
    return all(test(attributes) for test in tests.values())


def key_tests(keys: Json, options: SearchOptions = LITERAL) -> Tests:
    """What an entity's attributes must pass; keys without a value ask for nothing."""
    tests: Tests = {}
    for key, wanted in keys.items():
        if wanted["vr"] == "SQ":
            asked = (key_tests(item, options) for item in wanted.get("Value", ()))
            items = [inner for inner in asked if inner]
            if items:
                tests[key] = _sequence_test(key, items[0])
        elif decide := matcher(wanted["vr"], "\\".join(texts(keys, key)), options.fuzzy):
            tests[key] = _value_test(key, decide)
    if options.combined:
        for date, time in paired(keys).items():
            tests |= _pair_tests(keys, date, time)
    return tests


def _pair_tests(keys: Json, date: str, time: str) -> Tests:
    """A range of both stands with the date; the time is left to be known, or not."""
    test = combined_test(texts(keys, date)[0], texts(keys, time)[0])
    if test is None:
        return {}
    meets = test

    def meets_one(view: Json) -> bool:
        clocks = texts(view, time) or [""]
        return any(meets(day, clock) for day in texts(view, date) for clock in clocks)

    return {date: meets_one, time: lambda _: True}


def _value_test(key: str, decide: Callable[[list[str]], bool]) -> Test:
    return lambda view: decide(texts(view, key))


def _sequence_test(key: str, inner: Tests) -> Test:
    """Sequence matching (PS3.4 C.2.2.2.6): one item that passes all keys of the item."""

    def test(view: Json) -> bool:
        items = view.get(key, {}).get("Value", ())
        return any(_passes(item, inner) for item in items)

    return test


def _returned(held: dict[str, Any] | None, wanted: dict[str, Any]) -> dict[str, Any]:
    """What comes back for one key: empty if not held; of items, the keys asked for."""
    if held is None:
        return entry(wanted["vr"])
    keys = next((set(item) for item in wanted.get("Value", ()) if wanted["vr"] == "SQ"), None)
    if not keys:
        return held
    items = [{key: item[key] for key in item if key in keys} for item in held.get("Value", ())]
    return entry("SQ", *items)
