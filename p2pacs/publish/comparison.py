"""What is published of a study against what its source has now (pure)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from p2pacs.dataset.json_model import Json, text, texts
from p2pacs.dataset.vocabulary import PATIENT_TAGS, tag
from p2pacs.errors import ManifestError
from p2pacs.limits import TEXT
from p2pacs.publish.source import Description
from p2pacs.study.study_index import InstanceEntry, LeftOut

TRUSTED: Final = 100
"""A list of fewer instances is believed without a count to compare it with: no PACS is known that
cuts its answers off earlier."""

_PATIENT_ID: Final = tag("PatientID")

_CORRECTED: Final = tuple(
    tag(name)
    for name in (
        *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
        *("AccessionNumber", "StudyID", "StudyDate", "StudyDescription"),
    )
)
"""What is corrected in a PACS; every PACS tells these."""

_PATIENT: Final = tuple(key for key in _CORRECTED if key in PATIENT_TAGS)
_STUDY: Final = tuple(key for key in _CORRECTED if key not in PATIENT_TAGS)


def gone(
    described: Description, published: Collection[str], arrived: Collection[str]
) -> frozenset[str]:
    """SOP Instance UIDs that are published, and that the source has no longer.

    Args:
        described: the study with its instances.
        published: of the next version.
        arrived: those that came from the source just now: they are not gone, listed or not.
    """
    if not _is_whole(described):
        return frozenset()
    return frozenset(published) - described.instances.keys() - frozenset(arrived)


def missing(
    described: Description, published: Collection[str], *, duplicates: int, why: str
) -> LeftOut:
    """What the source has and a version has not.

    Args:
        described: the study with its instances.
        published: SOP Instance UIDs of the version.
        duplicates: instances that were left out as the second one under their UID.
        why: reasons for what did not come.
    """
    listed = described.instances.keys()
    named = tuple(sorted(listed - set(published)))
    by_count = max(described.count or 0, described.listed) - len(listed | set(published))
    unnamed = max(by_count, duplicates, 0)
    if unnamed and not duplicates:
        why = "; ".join(filter(None, [why, f"{unnamed}: counted, but under no UID of its own"]))
    return LeftOut(named, unnamed, why[:TEXT] if named or unnamed else "")


def _is_whole(described: Description) -> bool:
    """Whether what is not listed is not there: a list that was cut off must withdraw nothing."""
    if described.untold or not described.listed:
        return False
    if described.count is None:
        return described.listed < TRUSTED
    return described.listed >= described.count


def changed(told: Mapping[str, Json], published: Mapping[str, InstanceEntry]) -> Iterator[str]:
    """SOP Instance UIDs of which the source tells something else than what is published.

    Only what both tell is compared: another instance under the same UID mostly has other times.
    """
    for uid, attributes in told.items():
        one = published.get(uid)
        if one is None:
            continue
        try:
            known = one.attributes
        except ManifestError:
            continue
        if any(
            _values(attributes, key) != _values(known, key)
            for key in attributes.keys() & known.keys()
            if texts(attributes, key) and texts(known, key)
        ):
            yield uid


def moved(described: Description, published: Mapping[str, InstanceEntry]) -> Iterator[str]:
    """SOP Instance UIDs that the source lists in another series than they were published in."""
    listed: dict[str, set[str]] = {}
    for series in described.series:
        for instance in series.instances:
            listed.setdefault(text(instance, "SOPInstanceUID"), set()).add(series.uid)
    for uid, series_uids in listed.items():
        one = published.get(uid)
        if one is not None and one.series_instance_uid not in series_uids:
            yield uid


def beside(gone: Collection[str], published: Mapping[str, InstanceEntry]) -> Iterator[str]:
    """SOP Instance UIDs in series that lost an instance: what a list does not tell of may have
    been replaced there at the same time (a series that was deleted and sent again with less)."""
    series = {published[uid].series_instance_uid for uid in gone if uid in published}
    for uid, one in published.items():
        if one.series_instance_uid in series and uid not in gone:
            yield uid


def corrected(described: Description, published: Iterable[InstanceEntry]) -> bool:
    """Whether the source tells of patient or study what no published instance says, or names one
    patient where some instance is of another.

    Args:
        described: the study. What is empty at study level, or in all instances, says nothing; nor
            do the patient's attributes where there are several.
        published: what is out.
    """
    told, several = described.attributes, described.has_several_patients
    keys = [key for key in _CORRECTED if not (several and key in PATIENT_TAGS)]
    asked = {key: value for key in keys if (value := _values(told, key))}
    said: dict[str, set[tuple[str, ...]]] = {}
    for one in published:
        try:
            known = one.attributes
        except ManifestError:
            continue
        for key in asked:
            if value := _values(known, key):
                said.setdefault(key, set()).add(value)
    if len(said.get(_PATIENT_ID, ())) > 1:
        return True
    return any(asked[key] not in values for key, values in said.items())


def study_fingerprint(described: Description) -> bytes:
    """A digest of what `corrected` goes by."""
    told = [_values(described.attributes, key) for key in _CORRECTED]
    known = json.dumps([described.has_several_patients, *told])
    return hashlib.sha256(known.encode("utf-8", "replace")).digest()


def told_otherwise(before: Description, now: Description) -> bool:
    """Whether patient or study were corrected between two answers of the source.

    Some sources tell of a study what its newest series says. So what is told of the study, and not
    of the patient, counts as corrected only if no series came or went at the same time: a study
    that grows would else be read again and again.
    """
    if before.has_several_patients != now.has_several_patients:
        return True
    first, second = before.attributes, now.attributes
    if any(_values(first, key) != _values(second, key) for key in _PATIENT):
        return True
    if {series.uid for series in before.series} != {series.uid for series in now.series}:
        return False
    told = ((_values(first, key), _values(second, key)) for key in _STUDY)
    return any(one and other and one != other for one, other in told)


def _values(attributes: Json, key: str) -> tuple[str, ...]:
    """Values in one way of writing: 7, ``007`` and ``7.0`` are one number."""
    return tuple(_number(value) for value in texts(attributes, key))


def _number(value: str) -> str:
    try:
        return str(float(value))
    except ValueError:
        return value


def fingerprint(described: Description) -> bytes:
    """A digest of all that a source tells of the instances of a study."""
    listed = sorted(
        (series.uid, json.dumps(instance, sort_keys=True))
        for series in described.series
        for instance in series.instances
    )
    told = json.dumps(listed)
    return hashlib.sha256(told.encode("utf-8", "replace")).digest()
