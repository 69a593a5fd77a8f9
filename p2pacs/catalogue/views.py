"""What a query at each level sees: one flat set of attributes an entity, with what is counted.

The counts of PS3.4 C.3.4 are taken from the series and instances where the
record lists them, else they are what the PACS said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from p2pacs.catalogue.records import SeriesRecord, StudyRecord, patient_of
from p2pacs.dataset.json_model import Json, entry, number, of_level, text
from p2pacs.dataset.vocabulary import PATIENT_TAGS, tag

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
    """A study's attributes with this patient's in place of its own."""
    return {key: study[key] for key in study if key not in PATIENT_TAGS} | patient


def patients(records: Iterable[StudyRecord]) -> Iterator[Json]:
    """One view a patient, counted over these studies; without Patient ID, one a study."""
    found: dict[tuple[str, ...], tuple[Json, list[int]]] = {}
    for record in records:
        study = study_view(record)
        for patient in record.patients:
            who = patient_of(patient)
            key = who if who[0] else (record.uid,)
            view, counts = found.setdefault(key, (of_level(patient, PATIENT_TAGS), [0, 0, 0]))
            counts[0] += 1
            counts[1] += number(study, "NumberOfStudyRelatedSeries") or 0
            counts[2] += number(study, "NumberOfStudyRelatedInstances") or 0
    names = ("Studies", "Series", "Instances")
    for view, counts in found.values():
        for name, count in zip(names, counts, strict=True):
            view[tag(f"NumberOfPatientRelated{name}")] = entry("IS", str(count))
        yield view
