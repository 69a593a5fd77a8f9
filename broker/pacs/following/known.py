"""What a PACS tells of a study against what the catalogue has of it (pure)."""

from __future__ import annotations

from typing import Final

from attrs import evolve, frozen

from broker.pacs.adapter import STUDY_KEYS
from p2pacs.catalogue.records import StudyRecord, same_patient
from p2pacs.dataset.json_model import Json, text, texts
from p2pacs.dataset.vocabulary import tag
from p2pacs.publish.charset_loss import is_lost, together

COUNTS: Final = frozenset(
    tag(name)
    for name in (
        "ModalitiesInStudy",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
    )
)
"""Change when instances are added, while those that were there stay as they are."""


def catalogued(record: StudyRecord) -> StudyRecord:
    """The record as the catalogue keeps it: without instances, and without empty attributes, but
    for those of a published study: its headers were read."""
    kept = _with_value if not record.version else dict
    series = tuple(
        evolve(series, attributes=kept(series.attributes), instances=()) for series in record.series
    )
    return evolve(record, series=series, attributes=kept(record.attributes))


def _with_value(attributes: Json) -> Json:
    return {key: held for key, held in attributes.items() if "Value" in held}


@frozen
class ToldStudy:
    """What a PACS, or the headers of a version that is out, told of a study."""

    record: StudyRecord
    held_back: bool = False
    """Whether the PACS is known to have more series than it listed."""

    def over(self, known: StudyRecord | None) -> StudyRecord:
        """The record to keep where this one is known: never of an older version."""
        if known is None:
            return self.record
        record = self.record if self.record.version else self._with_headers(known)
        return evolve(record, version=max(record.version, known.version))

    def _with_headers(self, known: StudyRecord) -> StudyRecord:
        """What the PACS tells of a published study, and what is known of it from the headers of
        its instances (`p2pacs.publish.headers`): until it is published again that still holds
        where the PACS tells nothing, or lost characters (`p2pacs.publish.charset_loss`)."""
        record = self.record
        if not known.version:
            return record
        before = {series.uid: series for series in known.series}
        listed = [
            evolve(one, attributes=together(one.attributes, before.pop(one.uid, one).attributes))
            for one in record.series
        ]
        series = (*listed, *(before.values() if self.held_back else ()))
        of_same = _of_same_patient(known.attributes, record.attributes)
        return evolve(record, attributes=together(record.attributes, of_same), series=series)


def _of_same_patient(known: Json, told: Json) -> Json:
    """What is known of a study, without the patient's attributes if he is another one now."""
    if not text(told, "PatientID") or same_patient(known, told):
        return known
    return {key: known[key] for key in known if not key.startswith("0010")}


def is_same(known: StudyRecord, told: Json, without: frozenset[str] = frozenset()) -> bool:
    """Whether the PACS tells of a study what it told before.

    Args:
        known: as the catalogue has it, which may know more.
        told: as it was enumerated. A count that is not told is no sign of change, nor is less
            than what the headers of a published study say.
        without: not compared.
    """
    return all(
        _is_same_value(known, told, key)
        for key in frozenset(STUDY_KEYS) - without
        if key not in COUNTS or texts(told, key)
    )


def _is_same_value(known: StudyRecord, told: Json, key: str) -> bool:
    before, now = texts(known.attributes, key), texts(told, key)
    return before == now or (known.version > 0 and is_lost(now, before))
