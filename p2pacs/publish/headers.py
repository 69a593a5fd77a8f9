"""What the headers of a published study say where its source said nothing (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from attrs import evolve

from p2pacs.catalogue.records import SeriesRecord, other_patient, patient_of, same_patient
from p2pacs.dataset.elements import CHARACTER_SET
from p2pacs.dataset.json_model import Json, entry, of_level
from p2pacs.dataset.vocabulary import HEADER_TAGS, SERIES_TAGS, STUDY_LEVEL_TAGS, tag, vr_of
from p2pacs.errors import ManifestError
from p2pacs.publish.charset_loss import together
from p2pacs.publish.source import Description
from p2pacs.study.study_index import InstanceEntry


def with_headers(described: Description, instances: Iterable[InstanceEntry]) -> Description:
    """What the source told of a study, with what only its instances tell: attributes, counts, and
    of whom a series is that is of another patient than the study.

    The first instance of a series speaks for the series; that of the study's patient for the
    study. What it does not have is told, too: an attribute without a value. One whose attributes
    cannot be read tells nothing.

    Args:
        described: by the source, with all series that it lists. Where it is known to hold some
            back, those of the instances count, too.
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
    listed = described.series
    if described.untold or not listed:
        named = {one.uid for one in listed}
        listed += tuple(SeriesRecord(uid, {}) for uid in firsts if uid not in named)
    series = tuple(_series(one, firsts, counts, study) for one in listed)
    known = {
        tag("NumberOfStudyRelatedInstances"): entry("IS", str(counts.total())),
        tag("SOPClassesInStudy"): entry("UI", *sorted(classes)),
    }
    return evolve(described, attributes=known | study, series=series)


def _study(told: Json, firsts: dict[str, Json]) -> Json:
    """The study's attributes, filled in from an instance of the patient that the source names."""
    of_patient = [one for one in firsts.values() if same_patient(one, told)]
    if of_patient:
        return together(told, _whole(of_patient[0], STUDY_LEVEL_TAGS))
    # The source names nobody, or writes the patient otherwise: what it says of him stays whole.
    known = _whole(next(iter(firsts.values())), STUDY_LEVEL_TAGS)
    if patient_of(told)[0]:
        known = {key: known[key] for key in known if not key.startswith("0010")}
    return together(told, known)


def _series(
    told: SeriesRecord, firsts: dict[str, Json], counts: Counter[str], study: Json
) -> SeriesRecord:
    first = firsts.get(told.uid)
    if first is None:
        return told
    known = _whole(first, SERIES_TAGS)
    if any(same_patient(one, study) for one in firsts.values()):
        known |= other_patient(first, study)
    known[tag("NumberOfSeriesRelatedInstances")] = entry("IS", str(counts[told.uid]))
    return evolve(told, attributes=together(told.attributes, known))


def _whole(first: Json, tags: frozenset[str]) -> Json:
    """What an instance says at a level: also what it does not have, but for those in an index of
    version 0.1, which does not tell all that they have."""
    if CHARACTER_SET not in first:
        return of_level(first, tags)
    return {
        key: first[key] if key in first else entry(vr_of(key) or "UN") for key in tags & HEADER_TAGS
    }


def _attributes(instance: InstanceEntry) -> Json:
    try:
        return instance.attributes
    except ManifestError:
        return {}
