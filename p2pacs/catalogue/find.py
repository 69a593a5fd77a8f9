"""C-FIND over catalogue records: the hierarchical search of PS3.4 C.4.1.3.1, pure.

An answer holds the keys that were asked for, the unique keys down to the level, and nothing
else; the caller adds from where to retrieve. At study level the keys of a series count, too: a
study matches if one of its series passes all of them.

What is known of no study cannot be matched: such a key lets everything through, and the answers
say so (`p2pacs.dataset.answers`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from typing import Any

from attrs import evolve, frozen
from pydicom.dataset import Dataset

from p2pacs.catalogue.matching import matcher
from p2pacs.catalogue.question import UNIQUE, Question, Root, upto
from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.catalogue.views import (
    COUNTED,
    PATIENT_ID,
    by_patient,
    of_patient,
    patients,
    series_view,
    study_view,
)
from p2pacs.dataset.answers import Answers
from p2pacs.dataset.from_json import to_dataset
from p2pacs.dataset.json_model import Json, entry, texts
from p2pacs.dataset.vocabulary import (
    INSTANCE_TAGS,
    PATIENT_COUNTS,
    REQUIRED_TAGS,
    tag,
)

Test = Callable[[Json], bool]
Tests = dict[str, Test]
"""Key → what the attributes of an entity must pass."""

_MODALITY, _MODALITIES = tag("Modality"), tag("ModalitiesInStudy")
_SERIES_UID = tag("SeriesInstanceUID")


def find(
    records: Iterable[StudyRecord],
    identifier: Dataset,
    root: Root,
    known: Container[str] | None = None,
) -> Answers:
    """Answer a query at PATIENT, STUDY, SERIES or IMAGE level.

    Args:
        records: studies that may match (`CatalogueIndex.candidates` narrows them); with series
            and instances where the query is at their level.
        identifier: Query/Retrieve Level (0008,0052) and keys.
        root: information model.
        known: attributes of studies and series that some record has; None: all are.

    Raises:
        UsageError: the identifier is invalid (status 0xA900); at once, before any answer.
    """
    question = Question.parse(identifier, root)
    ignored = set(question.unmatched)
    search = _Search.of(question, known, ignored)
    return Answers(search.answers(records), ignored)


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
    ignored: set[str]
    unique: tuple[str, ...]

    @classmethod
    def of(cls, question: Question, known: Container[str] | None, ignored: set[str]) -> _Search:
        tests, below = key_tests(question.keys), key_tests(question.below)
        if known is not None:
            always = REQUIRED_TAGS | INSTANCE_TAGS | PATIENT_COUNTS
            strange = [k for k in (*tests, *below) if k not in always and k not in known]
            ignored.update(strange)
            tests, below = ({k: ts[k] for k in ts if k not in strange} for ts in (tests, below))
        plain = {key: tests[key] for key in tests if key not in COUNTED | INSTANCE_TAGS}
        counted = {key: tests[key] for key in tests if key in COUNTED}
        instances = {key: tests[key] for key in tests if key in INSTANCE_TAGS}
        unique = [UNIQUE[name] for name in upto(question.level) if name != "PATIENT"]
        if question.root == "PATIENT":
            unique.append(UNIQUE["PATIENT"])
        return cls(question, plain, counted, below, instances, ignored, tuple(unique))

    def answers(self, records: Iterable[StudyRecord]) -> Iterator[Dataset]:
        level = self.question.level
        if level == "PATIENT":
            tests = self.plain | self.counted
            return (self._answer(view) for view in patients(records) if _passes(view, tests))
        of_record = {"STUDY": self._studies, "SERIES": self._series, "IMAGE": self._images}[level]
        return (self._answer(view) for record in records for view in of_record(record))

    def _studies(self, record: StudyRecord) -> Iterator[Json]:
        """One a patient, with the counts of his series: nearly always one."""
        for attributes, series in by_patient(record):
            if not _passes(attributes, self.plain):
                continue
            matching = self._one_series(attributes, series) if self.of_series else {}
            if matching is None:
                continue
            is_only = attributes is record.attributes
            of_one = record if is_only else evolve(record, attributes=attributes, series=series)
            view = study_view(of_one)
            if _passes(view, self.counted):
                yield {**matching, **view}

    def _one_series(self, study: Json, series: tuple[SeriesRecord, ...]) -> Json | None:
        """The asked keys of the first series that passes; None if none does."""
        for one in series:
            view = one.attributes if _SERIES_UID in one.attributes else series_view(one)
            if _passes(view, self.of_series):
                return {key: view[key] for key in self.question.below if key in view}
        if series:
            return None
        # The series of this study are not listed here: only their modalities are known.
        self.ignored.update(self.of_series.keys() - {_MODALITY})
        modalities = {_MODALITY: study.get(_MODALITIES, entry("CS"))}
        is_other = _MODALITY in self.of_series and not self.of_series[_MODALITY](modalities)
        return None if is_other else {}

    def _series(self, record: StudyRecord) -> Iterator[Json]:
        """Views of the series that match, with what their study says."""
        study = study_view(record)
        for series in record.series:
            view = self._below(study, series) | series_view(series)
            if _passes(view, self.plain) and _passes(view, self.counted):
                yield view

    def _images(self, record: StudyRecord) -> Iterator[Json]:
        tests = self.of_instances
        if record.instance_keys is not None:
            unknown = tests.keys() - record.instance_keys
            self.ignored.update(unknown)
            tests = {key: tests[key] for key in tests if key not in unknown}
        study = study_view(record)
        for series in record.series:
            view = self._below(study, series) | series_view(series)
            if _passes(view, self.plain) and _passes(view, self.counted):
                for instance in series.instances:
                    if _passes(instance, tests):
                        yield view | instance

    @staticmethod
    def _below(study: Json, series: SeriesRecord) -> Json:
        """The study as a series of it sees it: with its own patient."""
        return of_patient(study, {}) if PATIENT_ID in series.attributes else study

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


def _passes(attributes: Json, tests: Tests) -> bool:
    return all(test(attributes) for test in tests.values())


def key_tests(keys: Json) -> Tests:
    """What an entity's attributes must pass; keys without a value ask for nothing."""
    tests: Tests = {}
    for key, wanted in keys.items():
        if wanted["vr"] == "SQ":
            items = [inner for item in wanted.get("Value", ()) if (inner := key_tests(item))]
            if items:
                tests[key] = _sequence_test(key, items[0])
        elif decide := matcher(wanted["vr"], "\\".join(texts(keys, key))):
            tests[key] = _value_test(key, decide)
    return tests


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
