"""Searching the catalogue that is held here: for the gateway's C-FIND and for ``p2pacs find``."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable
from io import BytesIO
from typing import Any, Final

from attrs import evolve
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.find import find
from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.dataset.elements import from_dataset
from p2pacs.dataset.json_model import Json, of_level, text
from p2pacs.dataset.vocabulary import INSTANCE_TAGS, SERIES_TAGS, tag
from p2pacs.errors import BusyError, MalformedMessageError
from p2pacs.limits import FIND_RESULTS

SHOWN: Final = (
    "PatientID",
    "PatientName",
    "StudyDate",
    "StudyDescription",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedInstances",
)
"""What is shown of a study."""


def find_studies(index: CatalogueIndex, keys: dict[str, str]) -> list[dict[str, Any]]:
    """Studies that match, newest first (in a worker thread: it reads the index).

    Args:
        index: the catalogue.
        keys: DICOM keyword → value, matched as C-FIND does.

    Raises:
        UsageError: a value that its key cannot have.
        BusyError: too many studies match.
    """
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "STUDY"
    for keyword in SHOWN:
        setattr(identifier, keyword, "")
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    found: list[dict[str, Any]] = []
    for answer in find(index.candidates(identifier), identifier, "STUDY"):
        if len(found) == FIND_RESULTS:
            raise BusyError(f"more than {FIND_RESULTS} studies match: narrow the search")
        found.append(_shown(answer))
    return sorted(found, key=lambda study: str(study["study_date"]), reverse=True)


def _shown(answer: Dataset) -> dict[str, Any]:
    shown = from_dataset(answer, [tag(keyword) for keyword in [*SHOWN, "StudyInstanceUID"]])
    modalities = shown.get(tag("ModalitiesInStudy"), {}).get("Value", [])
    instances = text(shown, "NumberOfStudyRelatedInstances")
    return {
        "study_instance_uid": text(shown, "StudyInstanceUID"),
        "patient_id": text(shown, "PatientID"),
        "patient_name": text(shown, "PatientName"),
        "study_date": text(shown, "StudyDate"),
        "description": text(shown, "StudyDescription"),
        "modalities": [str(modality) for modality in modalities],
        "instances": int(instances) if instances.isdigit() else None,
    }


def read_instances(datasets: Iterable[bytes]) -> list[Json]:
    """The attributes of instances that the broker described (`Instances`).

    Raises:
        MalformedMessageError: not data sets in Explicit VR Little Endian.
    """
    tags = sorted(INSTANCE_TAGS | SERIES_TAGS)
    try:
        found = [from_dataset(_decoded(raw), tags) for raw in datasets]
    except (ValueError, EOFError, NotImplementedError, struct.error) as error:
        raise MalformedMessageError("the broker's list of instances cannot be read") from error
    if not all(text(one, "SOPInstanceUID") and text(one, "SeriesInstanceUID") for one in found):
        raise MalformedMessageError("an instance without SOP or Series Instance UID")
    return found


def _decoded(raw: bytes) -> Dataset:
    return read_dataset(BytesIO(raw), is_implicit_VR=False, is_little_endian=True)


def with_instances(record: StudyRecord, instances: Iterable[Json]) -> StudyRecord:
    """The record with these instances in their series; series it did not list are added.

    Args:
        record: the catalogue's.
        instances: attributes of instances, with those of their series.
    """
    by_series: dict[str, list[Json]] = defaultdict(list)
    for attributes in instances:
        by_series[text(attributes, "SeriesInstanceUID")].append(attributes)
    known = {series.uid: series for series in record.series}
    for uid, inside in by_series.items():
        series = known.get(uid) or SeriesRecord(uid, of_level(inside[0], SERIES_TAGS))
        known[uid] = evolve(series, instances=tuple(of_level(one, INSTANCE_TAGS) for one in inside))
    return evolve(record, series=tuple(known.values()))
