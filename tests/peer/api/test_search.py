from collections.abc import Iterator
from pathlib import Path

import pytest

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.records import StudyRecord
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import UsageError
from p2pacs.ids import StudyId
from peer.api.search import find_studies
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
