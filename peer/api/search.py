"""Searching the catalogue that is held here, for ``p2pacs find``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pydicom.dataset import Dataset

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.find import find
from p2pacs.dataset.elements import from_dataset
from p2pacs.dataset.json_model import number, text
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import BusyError
from p2pacs.identity.book import DirectoryBook
from p2pacs.ids import StudyId
from p2pacs.limits import FIND_RESULTS
from p2pacs.output.json_object import JsonObject
from peer.api.status import member_name
from peer.retrieval.sent_here import SentHere

ADMINISTRATOR: Final = "an administrator"
"""Who sent what no member did."""

SHOWN: Final = (
    "PatientID",
    "PatientName",
    "StudyDate",
    "StudyDescription",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedInstances",
)
"""What is shown of a study."""


def find_studies(
    index: CatalogueIndex, keys: dict[str, str], among: Collection[StudyId] | None = None
) -> list[dict[str, Any]]:
    """Studies that match, newest first (in a worker thread: it reads the index).

    Args:
        index: the catalogue.
        keys: DICOM keyword → value, matched as C-FIND does.
        among: only these; None: all.

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
    if among is None:
        records = index.candidates(identifier)
    else:
        records = (one for one in map(index.get, among) if one is not None)
    for answer in find(records, identifier, "STUDY", index.known):
        if len(found) == FIND_RESULTS:
            raise BusyError(f"more than {FIND_RESULTS} studies match: narrow the search")
        found.append(_shown(answer))
    return sorted(found, key=lambda study: str(study["study_date"]), reverse=True)


def studies_of(index: CatalogueIndex, found: Collection[JsonObject]) -> dict[str, StudyId]:
    """The ids of studies that were found, by their UIDs (in a worker thread)."""
    uids = [one["study_instance_uid"] for one in found]
    records = (index.by_uid(uid) for uid in uids)
    return {one.uid: one.study for one in records if one is not None}


def sender_json(sent: SentHere | None, book: DirectoryBook) -> JsonObject:
    """Who sent a study to this hospital, if anybody did, and whether somebody here has read it."""
    if sent is None:
        return {"sent_by": None, "sent_at": None, "stat": False, "read": False}
    is_broker = sent.sender in book.directory.brokers
    return {
        "sent_by": ADMINISTRATOR if is_broker else member_name(book, sent.sender),
        "sent_at": datetime.fromtimestamp(sent.addressed / 1000, UTC).isoformat(timespec="seconds"),
        "stat": sent.is_stat,
        "read": sent.is_read,
    }


def with_senders(
    found: Collection[JsonObject],
    studies: Mapping[str, StudyId],
    sent: Mapping[StudyId, SentHere],
    book: DirectoryBook,
) -> list[JsonObject]:
    """Studies that were found, with who sent each.

    Args:
        found: see `find_studies`.
        studies: UID → id.
        sent: those that were sent here.
        book: names the members.
    """

    def sent_of(one: JsonObject) -> SentHere | None:
        study = studies.get(one["study_instance_uid"])
        return None if study is None else sent.get(study)

    return [one | sender_json(sent_of(one), book) for one in found]


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
