"""What an answer to a search says of an entity (PS3.18 tables 10.6.3-3 to 10.6.3-5)."""

from __future__ import annotations

from typing import Final

from p2pacs.dataset.json_model import Json, entry, text, with_numbers
from p2pacs.dataset.vocabulary import tag, vr_of
from p2pacs.dicomweb.server.query import UNIQUE, SearchQuery

_RETRIEVE_URL: Final = tag("RetrieveURL")
_CHARACTER_SET: Final = tag("SpecificCharacterSet")


def _tags(keywords: str) -> tuple[str, ...]:
    return tuple(tag(keyword) for keyword in keywords.split())


_STUDY: Final = _tags(
    "StudyDate StudyTime AccessionNumber ModalitiesInStudy ReferringPhysicianName PatientName "
    "PatientID PatientBirthDate PatientSex StudyInstanceUID StudyID NumberOfStudyRelatedSeries "
    "NumberOfStudyRelatedInstances"
)
_SERIES: Final = _tags(
    "Modality SeriesDescription SeriesInstanceUID SeriesNumber NumberOfSeriesRelatedInstances "
    "PerformedProcedureStepStartDate PerformedProcedureStepStartTime RequestAttributesSequence"
)
_INSTANCE: Final = _tags(
    "SOPClassUID SOPInstanceUID InstanceNumber Rows Columns BitsAllocated NumberOfFrames "
    "AvailableTransferSyntaxUID"
)

_IF_KNOWN: Final = frozenset(
    _tags(
        "PerformedProcedureStepStartDate PerformedProcedureStepStartTime NumberOfFrames "
        "RequestAttributesSequence Rows Columns BitsAllocated AvailableTransferSyntaxUID"
    )
)
"""What has no place in an answer where it is not known or does not apply."""


def asked(query: SearchQuery) -> set[str]:
    """The tags that every answer to a query has, those that are known included."""
    found = {_RETRIEVE_URL, *query.keys, *query.fields}
    has_study = UNIQUE["STUDY"] in query.keys
    has_series = UNIQUE["SERIES"] in query.keys
    if query.level == "STUDY" or not has_study:
        found.update(_STUDY)
    if query.level == "SERIES" or (query.level == "IMAGE" and not has_series):
        found.update(_SERIES)
    if query.level == "IMAGE":
        found.update(_INSTANCE)
    return found | {UNIQUE[level] for level in _upto(query.level)}


def _upto(level: str) -> list[str]:
    levels = list(UNIQUE)
    return levels[: levels.index(level) + 1]


def answer(view: Json, query: SearchQuery, tags: set[str], root: str) -> Json:
    """What is said of an entity, by tag.

    Args:
        view: all that is known of it.
        query: what was asked.
        tags: `asked` of it.
        root: URL of the services.
    """
    told = dict(view) if query.everything else {key: view[key] for key in tags if key in view}
    for key in tags - told.keys() - _IF_KNOWN:
        if vr := vr_of(key):
            told[key] = entry(vr)
    told[_CHARACTER_SET] = entry("CS", "ISO_IR 192")
    told[_RETRIEVE_URL] = entry("UR", root + _path(view, query.level))
    return {key: with_numbers(told[key]) for key in sorted(told)}


def _path(view: Json, level: str) -> str:
    names = zip(("studies", "series", "instances"), _upto(level), strict=False)
    return "".join(f"/{name}/{text(view, UNIQUE[of])}" for name, of in names)
