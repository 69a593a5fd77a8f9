"""Which instances of a study a retrieval asks for (pure)."""

from __future__ import annotations

from collections.abc import Iterator

from p2pacs.catalogue.question import Selection
from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.catalogue.views import patient_records, study_view
from p2pacs.dataset.json_model import number, text
from p2pacs.errors import ManifestError
from p2pacs.study.study_index import InstanceEntry
from peer.retrieval.instances.cursor import Wanted


def is_wanted(selection: Selection, record: StudyRecord) -> bool:
    """Whether a study may have something of what is asked for."""
    of_study = not selection.studies or record.uid in selection.studies
    return of_study and (not selection.patients or any(_theirs(selection, record)))


def wanted_of(selection: Selection, record: StudyRecord) -> Wanted | None:
    """What is asked for of a study that `is_wanted`; None: all of it.

    An instance matches all unique keys (PS3.4 C.4.2.2.1): where patients are named, only series of
    theirs, as C-FIND tells. One of a series that is not in the catalogue yet is of the patient
    that its own header names.
    """
    mixed = _is_mixed(selection, record)
    if not (mixed or selection.series or selection.instances):
        return None
    theirs = {series.uid for series in _series(selection, record)}
    listed = {series.uid for series in record.series}

    def of_patient(entry: InstanceEntry) -> bool:
        if not mixed or entry.series_instance_uid in listed:
            return not mixed or entry.series_instance_uid in theirs
        return _patient(entry) in selection.patients

    return lambda entry: (
        (not selection.series or entry.series_instance_uid in selection.series)
        and (not selection.instances or entry.sop_instance_uid in selection.instances)
        and of_patient(entry)
    )


def promised(selection: Selection, record: StudyRecord) -> int:
    """Instances that the catalogue tells of, of what is asked for; 0 if it does not."""
    if selection.instances:
        return 0
    if not (selection.series or _is_mixed(selection, record)):
        return number(study_view(record), "NumberOfStudyRelatedInstances") or 0
    counts = [
        number(series.attributes, "NumberOfSeriesRelatedInstances")
        for series in _series(selection, record)
        if not selection.series or series.uid in selection.series
    ]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else 0


def _is_mixed(selection: Selection, record: StudyRecord) -> bool:
    """Whether a study is also of patients that are not asked for."""
    return bool(selection.patients) and not all(_theirs(selection, record))


def _series(selection: Selection, record: StudyRecord) -> Iterator[SeriesRecord]:
    """The series of the patients that are asked for: of all, if none is named."""
    theirs = _theirs(selection, record)
    for of_one, is_theirs in zip(patient_records(record), theirs, strict=True):
        if is_theirs or not selection.patients:
            yield from of_one.series


def _theirs(selection: Selection, record: StudyRecord) -> list[bool]:
    """Of each patient of the study, whether it is asked for."""
    return [
        text(of_one.attributes, "PatientID") in selection.patients
        for of_one in patient_records(record)
    ]


def _patient(entry: InstanceEntry) -> str:
    try:
        return text(entry.attributes, "PatientID")
    except ManifestError:
        return ""
