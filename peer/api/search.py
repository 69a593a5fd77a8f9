"""Searching the catalogue that is held here, for ``p2pacs find``."""

from __future__ import annotations

from typing import Any, Final

from pydicom.dataset import Dataset

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.find import find
from p2pacs.dataset.elements import from_dataset
from p2pacs.dataset.json_model import number, text
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import BusyError
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
        # Modalities are code strings, which have no small letters (PS3.5 6.2).
        setattr(identifier, keyword, value.upper() if keyword == "ModalitiesInStudy" else value)
    found: list[dict[str, Any]] = []
    for answer in find(index.candidates(identifier), identifier, "STUDY", index.known):
        if len(found) == FIND_RESULTS:
            raise BusyError(f"more than {FIND_RESULTS} studies match: narrow the search")
        found.append(_shown(answer))
    return sorted(found, key=lambda study: str(study["study_date"]), reverse=True)


def _shown(answer: Dataset) -> dict[str, Any]:
    shown = from_dataset(answer, [tag(keyword) for keyword in [*SHOWN, "StudyInstanceUID"]])
    modalities = shown.get(tag("ModalitiesInStudy"), {}).get("Value", [])
    return {
        "study_instance_uid": text(shown, "StudyInstanceUID"),
        "patient_id": text(shown, "PatientID"),
        "patient_name": text(shown, "PatientName"),
        "study_date": text(shown, "StudyDate"),
        "description": text(shown, "StudyDescription"),
        "modalities": [str(modality) for modality in modalities],
        "instances": number(shown, "NumberOfStudyRelatedInstances"),
    }
