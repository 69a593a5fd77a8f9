"""Studies of several patients (pure): wrong (PS3.3 A.1.2), and found in one of a hundred archives.

A PACS answers for such a study once a patient; the broker has one record of it, whose series say
which patient they are of.
"""

from __future__ import annotations

from collections.abc import Iterable

from p2pacs.catalogue.records import patient_of, same_patient
from p2pacs.dataset.json_model import Json, entry, number, text, texts
from p2pacs.dataset.vocabulary import PATIENT_TAGS, STUDY_COUNTS, tag

_MODALITIES = tag("ModalitiesInStudy")


def merged(answers: Iterable[Json]) -> list[Json]:
    """One answer a study, in the order of the first of each; that of one patient, always the
    same, with the counts of all."""
    by_uid: dict[str, dict[tuple[str, str], Json]] = {}
    for answer in answers:
        by_uid.setdefault(text(answer, "StudyInstanceUID"), {}).setdefault(
            patient_of(answer), answer
        )
    return [_merged(by_patient) for by_patient in by_uid.values()]


def _merged(by_patient: dict[tuple[str, str], Json]) -> Json:
    together = dict(by_patient[min(by_patient)])
    if len(by_patient) == 1:
        return together
    for key in STUDY_COUNTS:
        counts = [count for one in by_patient.values() if (count := number(one, key)) is not None]
        if len(counts) == len(by_patient):
            together[key] = entry("IS", str(sum(counts)))
    modalities = {one for answer in by_patient.values() for one in texts(answer, _MODALITIES)}
    if modalities:
        together[_MODALITIES] = entry("CS", *sorted(modalities))
    return together


def are_several(answers: Iterable[Json]) -> bool:
    """Whether these answers, all of one study, are of several patients."""
    return len({patient_of(answer) for answer in answers}) > 1


def with_patient(series: Json, study: Json) -> Json:
    """The attributes of a series, with those of its patient only if that is another one than the
    study's."""
    if not text(series, "PatientID") or same_patient(series, study):
        return {key: series[key] for key in series if key not in PATIENT_TAGS}
    return series
