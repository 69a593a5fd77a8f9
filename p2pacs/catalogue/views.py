"""What a query at each level sees: one flat set of attributes an entity, with what is counted.

The counts of PS3.4 C.3.4 are taken from the series and instances where the
record lists them, else they are what the PACS said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.dataset.json_model import Json, entry, number, of_level, text
from p2pacs.dataset.vocabulary import PATIENT_TAGS, tag

_SERIES_INSTANCES = tag("NumberOfSeriesRelatedInstances")


def views(records: Iterable[StudyRecord], level: str) -> Iterator[Json]:
    """The attributes of every entity at a level, those of the levels above included."""
    if level == "PATIENT":
        yield from _patients(records)
        return
    for record in records:
        study = study_view(record)
        if level == "STUDY":
            yield study
        else:
            yield from _inside(record, study, level)


def _inside(record: StudyRecord, study: Json, level: str) -> Iterator[Json]:
    for series in record.series:
        of_series = study | series_view(series)
        if level == "SERIES":
            yield of_series
        else:
            yield from (of_series | instance for instance in series.instances)


def study_view(record: StudyRecord) -> Json:
    """A study's attributes with its counts."""
    view = dict(record.attributes)
    view[tag("StudyInstanceUID")] = entry("UI", record.uid)
    if not record.series:
        return view
    modalities = {text(series.attributes, "Modality") for series in record.series}
    view[tag("ModalitiesInStudy")] = entry("CS", *sorted(modalities - {""}))
    view[tag("NumberOfStudyRelatedSeries")] = entry("IS", str(len(record.series)))
    counts = [_instances(series) for series in record.series]
    known = [count for count in counts if count is not None]
    if len(known) == len(counts):
        view[tag("NumberOfStudyRelatedInstances")] = entry("IS", str(sum(known)))
    classes = {text(i, "SOPClassUID") for series in record.series for i in series.instances}
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


def _patients(records: Iterable[StudyRecord]) -> Iterator[Json]:
    """One view a patient, counted over these studies; without Patient ID, one a study."""
    found: dict[tuple[str, ...], tuple[Json, list[int]]] = {}
    for record in records:
        study = study_view(record)
        patient = text(study, "PatientID"), text(study, "IssuerOfPatientID")
        key = patient if patient[0] else (record.uid,)
        view, counts = found.setdefault(key, (of_level(study, PATIENT_TAGS), [0, 0, 0]))
        counts[0] += 1
        counts[1] += number(study, "NumberOfStudyRelatedSeries") or 0
        counts[2] += number(study, "NumberOfStudyRelatedInstances") or 0
    names = ("Studies", "Series", "Instances")
    for view, counts in found.values():
        for name, count in zip(names, counts, strict=True):
            view[tag(f"NumberOfPatientRelated{name}")] = entry("IS", str(count))
        yield view
