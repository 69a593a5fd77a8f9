"""Which instances of a study a retrieval asks for (pure)."""

from __future__ import annotations

from p2pacs.catalogue.question import Selection
from p2pacs.catalogue.records import StudyRecord
from p2pacs.catalogue.views import patient_records
from p2pacs.dataset.json_model import text
from p2pacs.errors import ManifestError
from p2pacs.study.study_index import InstanceEntry
from peer.retrieval.cursor import Wanted


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
    mixed = bool(selection.patients) and not all(_theirs(selection, record))
    if not (mixed or selection.series or selection.instances):
        return None
    theirs = {
        series.uid
        for of_one, is_theirs in zip(
            patient_records(record), _theirs(selection, record), strict=True
        )
        for series in of_one.series
        if is_theirs
    }
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
