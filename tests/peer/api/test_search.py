from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.records import StudyRecord
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import UsageError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.swarm.scheduling.priority import Priority
from peer.api.search import (
    ADMINISTRATOR,
    find_studies,
    sender_json,
    studies_of,
    with_senders,
)
from peer.retrieval.sent_here import SentHere
from tests.odd import ODD_VALUES


def _record(number: int, name: str, date: str) -> StudyRecord:
    attributes = {
        tag("PatientID"): entry("LO", f"P{number}"),
        tag("PatientName"): entry("PN", {"Alphabetic": name}),
        tag("StudyDate"): entry("DA", date),
        tag("NumberOfStudyRelatedInstances"): entry("IS", "12"),
        tag("ModalitiesInStudy"): entry("CS", "CT", "SR"),
    }
    return StudyRecord(StudyId(number.to_bytes(16, "big")), f"1.2.{number}", attributes)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[CatalogueIndex]:
    index = CatalogueIndex(tmp_path / "catalogue.db")
    index.upsert([_record(1, "Doe^Jane", "20240101"), _record(2, "Roe^Max", "20250101")])
    yield index
    index.close()


def test_who_sent_them(index: CatalogueIndex) -> None:
    north, broker = (VirtualAddress(b"\xfd" + bytes(14) + bytes([one])) for one in range(2))
    book: Any = SimpleNamespace(
        directory=SimpleNamespace(brokers={broker}, get={north: SimpleNamespace(name="north")}.get)
    )
    first, second = (StudyId(n.to_bytes(16, "big")) for n in (1, 2))
    found = find_studies(index, {})
    studies = studies_of(index, found)
    assert studies == {"1.2.1": first, "1.2.2": second}
    sent = {first: SentHere(first, north, Priority.STAT, 1_700_000_000_000)}
    newest, oldest = with_senders(found, studies, sent, book)
    assert (newest["sent_by"], newest["sent_at"]) == (None, None)
    assert {name: oldest[name] for name in ("sent_by", "sent_at", "stat", "read")} == {
        "sent_by": "north",
        "sent_at": "2023-11-14T22:13:20+00:00",
        "stat": True,
        "read": False,
    }
    by_administrator = SentHere(second, broker, Priority.INTERACTIVE, 0, is_read=True)
    assert sender_json(by_administrator, book)["sent_by"] == ADMINISTRATOR
    assert [one["patient_id"] for one in find_studies(index, {}, [first])] == ["P1"]
    assert not find_studies(index, {"PatientID": "P2"}, [first, StudyId(bytes(16))])


def test_all_studies_newest_first(index: CatalogueIndex) -> None:
    found = find_studies(index, {})
    assert [study["patient_id"] for study in found] == ["P2", "P1"]
    assert found[1] == {
        "study_instance_uid": "1.2.1",
        "patient_id": "P1",
        "patient_name": "Doe^Jane",
        "study_date": "20240101",
        "description": "",
        "modalities": ["CT", "SR"],
        "instances": 12,
    }


@pytest.mark.parametrize(
    "keys",
    [
        {"PatientName": "doe*"},
        {"StudyDate": "20230101-20240601"},
        {"PatientID": "P1"},
        {"StudyInstanceUID": "1.2.1", "ModalitiesInStudy": "CT"},
        {"PatientID": "P1", "ModalitiesInStudy": "ct"},  # no code string has small letters
    ],
)
def test_keys_match_as_in_dicom(index: CatalogueIndex, keys: dict[str, str]) -> None:
    assert [study["patient_id"] for study in find_studies(index, keys)] == ["P1"]


@ODD_VALUES
@pytest.mark.parametrize("date", ["2026-01-10", "yesterday", "20240101-2024-02"])
def test_a_date_that_is_none_is_refused(index: CatalogueIndex, date: str) -> None:
    with pytest.raises(UsageError, match="20260101-20260131"):
        find_studies(index, {"StudyDate": date})


@pytest.mark.parametrize("told", ["²", "9" * 5000, "many", "-"])
def test_a_number_of_instances_that_is_none(tmp_path: Path, told: str) -> None:
    index = CatalogueIndex(tmp_path / "odd.db")
    record = _record(1, "Doe^Jane", "20240101")
    record.attributes[tag("NumberOfStudyRelatedInstances")] = entry("IS", told)
    index.upsert([record])
    (found,) = find_studies(index, {})
    assert found["instances"] is None
    index.close()
