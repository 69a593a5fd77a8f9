"""What the headers of a published study say where its source said nothing (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from attrs import evolve

from p2pacs.catalogue.records import SeriesRecord, other_patient, patient_of, same_patient
from p2pacs.dataset.json_model import Json, entry, of_level
from p2pacs.dataset.vocabulary import SERIES_TAGS, STUDY_LEVEL_TAGS, tag
from p2pacs.errors import ManifestError
from p2pacs.publish.source import Description
from p2pacs.study.study_index import InstanceEntry


def with_headers(described: Description, instances: Iterable[InstanceEntry]) -> Description:
    """What the source told of a study, with what only its instances tell: attributes, counts, and
    of whom a series is that is of another patient than the study.

    The first instance of a series speaks for the series; that of the study's patient for the
    study. One whose attributes cannot be read tells nothing.

    Args:
        described: by the source, with all series that it has.
        instances: of the version that is out.
    """
    counts, classes = Counter[str](), set[str]()
    firsts: dict[str, Json] = {}
    for one in instances:
        counts[one.series_instance_uid] += 1
        classes.add(one.sop_class_uid)
        if one.series_instance_uid not in firsts:
            firsts[one.series_instance_uid] = _attributes(one)
    if not firsts:
        return described
    study = _study(described.attributes, firsts)
    listed = described.series or tuple(SeriesRecord(uid, {}) for uid in firsts)
    series = tuple(_series(one, firsts, counts, study) for one in listed)
    known = {
        tag("NumberOfStudyRelatedInstances"): entry("IS", str(counts.total())),
        tag("SOPClassesInStudy"): entry("UI", *sorted(classes)),
    }
    return evolve(described, attributes=_filled(study, known), series=series)


def _study(told: Json, firsts: dict[str, Json]) -> Json:
    """The study's attributes, filled in from an instance of the patient that the source names."""
    of_patient = [one for one in firsts.values() if same_patient(one, told)]
    if of_patient:
        return _filled(told, of_level(of_patient[0], STUDY_LEVEL_TAGS))
    # The source names nobody, or writes the patient otherwise: what it says of him stays whole.
    first = next(iter(firsts.values()))
    if patient_of(told)[0]:
        first = {key: first[key] for key in first if not key.startswith("0010")}
    return _filled(told, of_level(first, STUDY_LEVEL_TAGS))


def _series(
    told: SeriesRecord, firsts: dict[str, Json], counts: Counter[str], study: Json
) -> SeriesRecord:
    first = firsts.get(told.uid)
    if first is None:
        return told
    known = of_level(first, SERIES_TAGS)
    if any(same_patient(one, study) for one in firsts.values()):
        known |= other_patient(first, study)
    known[tag("NumberOfSeriesRelatedInstances")] = entry("IS", str(counts[told.uid]))
    return evolve(told, attributes=_filled(told.attributes, known))


def _filled(told: Json, known: Json) -> Json:
    return known | {key: held for key, held in told.items() if "Value" in held}


def _attributes(instance: InstanceEntry) -> Json:
    try:
        return instance.attributes
    except ManifestError:
        return {}
