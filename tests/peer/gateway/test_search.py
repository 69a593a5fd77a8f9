from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.catalogue.records import SeriesRecord, StudyRecord
from p2pacs.dataset.json_model import entry, text
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import MalformedMessageError
from p2pacs.ids import StudyId
from peer.gateway.search import find_studies, read_instances, with_instances


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
    ],
)
def test_keys_match_as_in_dicom(index: CatalogueIndex, keys: dict[str, str]) -> None:
    assert [study["patient_id"] for study in find_studies(index, keys)] == ["P1"]


def _encoded(number: int) -> bytes:
    dataset = Dataset()
    dataset.SOPInstanceUID = f"1.3.{number}"
    dataset.Modality = "CT"
    dataset.SeriesInstanceUID = f"1.4.{number % 2}"
    dataset.InstanceNumber = number
    out = DicomBytesIO(BytesIO().getvalue())
    out.is_little_endian, out.is_implicit_VR = True, False
    write_dataset(out, dataset)
    return bytes(out.getvalue())


def test_instances_go_into_their_series() -> None:
    record = StudyRecord(
        StudyId(bytes(16)),
        "1.2",
        {},
        (SeriesRecord("1.4.0", {tag("Modality"): entry("CS", "MR")}),),
    )
    filled = with_instances(record, read_instances(_encoded(number) for number in range(3)))
    assert [series.uid for series in filled.series] == ["1.4.0", "1.4.1"]
    numbers = [[text(i, "InstanceNumber") for i in series.instances] for series in filled.series]
    assert numbers == [["0", "2"], ["1"]]
    assert [text(series.attributes, "Modality") for series in filled.series] == ["MR", "CT"]


def test_instances_that_cannot_be_read() -> None:
    with pytest.raises(MalformedMessageError):
        read_instances([bytes(40)])
