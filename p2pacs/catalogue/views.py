"""What a query at each level sees: one flat set of attributes an entity, with what is counted.

The counts of PS3.4 C.3.4 are taken from the series and instances where the
record lists them, else they are what the PACS said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import evolve

from p2pacs.catalogue.records import SeriesRecord, StudyRecord, patient_of
from p2pacs.dataset.json_model import Json, entry, number, of_level, text
from p2pacs.dataset.vocabulary import PATIENT_TAGS, STUDY_COUNTS, tag

PATIENT_ID = tag("PatientID")
COUNTED = frozenset(
    tag(keyword)
    for keyword in (
        "StudyInstanceUID",
        "ModalitiesInStudy",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
        "SOPClassesInStudy",
    )
)
"""What `study_view` may tell otherwise than the record's own attributes."""

_SERIES_INSTANCES = tag("NumberOfSeriesRelatedInstances")
_OF_ALL = frozenset({tag("ModalitiesInStudy"), tag("SOPClassesInStudy")})
_MODALITY, _CLASS = tag("Modality"), tag("SOPClassUID")


def study_view(record: StudyRecord) -> Json:
    """A study's attributes with its counts; those of its first patient."""
    view = dict(record.attributes)
    view[tag("StudyInstanceUID")] = entry("UI", record.uid)
    if not record.series:
        return view
    modalities = {text(series.attributes, _MODALITY) for series in record.series}
    view[tag("ModalitiesInStudy")] = entry("CS", *sorted(modalities - {""}))
    view[tag("NumberOfStudyRelatedSeries")] = entry("IS", str(len(record.series)))
    counts = [_instances(series) for series in record.series]
    known = [count for count in counts if count is not None]
    if len(known) == len(counts):
        view[tag("NumberOfStudyRelatedInstances")] = entry("IS", str(sum(known)))
    classes = {text(i, _CLASS) for series in record.series for i in series.instances}
    if classes - {""}:
        view[tag("SOPClassesInStudy")] = entry("UI", *sorted(classes - {""}))
    return view


def series_view(series: SeriesRecord) -> Json:
    """A series' attributes with its count."""
    view = dict(series.attributes)
    view[tag("SeriesInstanceUID")] = entry("UI", series.uid)
    if series.instances:
        view[_SERIES_INSTANCES] = entry("IS", str(len(series.instances)))
    return view


def _instances(series: SeriesRecord) -> int | None:
    return len(series.instances) or number(series.attributes, _SERIES_INSTANCES)


# ---------------------------------------------------------------- patients


def by_patient(record: StudyRecord) -> Iterator[tuple[Json, tuple[SeriesRecord, ...]]]:
    """The attributes of the study as each of its patients has them, and the patient's series."""
    if not any(PATIENT_ID in series.attributes for series in record.series):
        yield record.attributes, record.series
        return
    first = patient_of(record.attributes)
    for patient in record.patients:
        who = patient_of(patient)
        theirs = tuple(
            series
            for series in record.series
            if (patient_of(series.attributes) if PATIENT_ID in series.attributes else first) == who
        )
        if theirs:
            yield of_patient(record.attributes, patient), theirs


def of_patient(study: Json, patient: Json) -> Json:
    """A study's attributes with this patient's in place of its own; what is counted over all of
    its patients is not said of one."""
    other = PATIENT_TAGS | STUDY_COUNTS | _OF_ALL
    return {key: study[key] for key in study if key not in other} | patient


def patient_records(record: StudyRecord) -> Iterator[StudyRecord]:
    """The study as each of its patients has it: nearly always itself, once."""
    for attributes, series in by_patient(record):
        is_only = attributes is record.attributes
        yield record if is_only else evolve(record, attributes=attributes, series=series)


def patients(records: Iterable[StudyRecord]) -> Iterator[Json]:
    """One view a patient, counted over these studies; without Patient ID, one a study. A count
    that one of the studies does not tell is not told."""
    found: dict[tuple[str, ...], tuple[Json, dict[str, int | None]]] = {}
    for record in records:
        for of_one in patient_records(record):
            who = patient_of(of_one.attributes)
            key = who if who[0] else (record.uid,)
            patient = of_level(of_one.attributes, PATIENT_TAGS)
            view, counts = found.setdefault(key, (patient, {}))
            for name, count in _counts(study_view(of_one)).items():
                counts[name] = _sum(counts.get(name, 0), count)
    for view, counts in found.values():
        for name, total in counts.items():
            if total is not None:
                view[tag(f"NumberOfPatientRelated{name}")] = entry("IS", str(total))
        yield view


def _counts(study: Json) -> dict[str, int | None]:
    return {
        "Studies": 1,
        "Series": number(study, "NumberOfStudyRelatedSeries"),
        "Instances": number(study, "NumberOfStudyRelatedInstances"),
    }


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
