from io import BytesIO

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from p2pacs.dataset.elements import from_dataset
from p2pacs.dataset.from_json import UTF8, to_dataset
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from tests.p2pacs.catalogue.samples import attributes


def over_the_wire(dataset: Dataset) -> Dataset:
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, True
    write_dataset(out, dataset)
    return read_dataset(BytesIO(out.getvalue()), True, True)


@pytest.mark.parametrize(
    "name", ["Müller^Jörg", "Yamada^Tarou=山田^太郎=やまだ^たろう", "Иванов^Иван"]
)
def test_names_come_out_right_in_utf_8(name: str) -> None:
    dataset = over_the_wire(to_dataset(attributes(PatientName=("PN", name))))
    assert dataset.SpecificCharacterSet == UTF8
    assert str(dataset.PatientName) == name


def test_ascii_needs_no_character_set() -> None:
    assert "SpecificCharacterSet" not in to_dataset(attributes(PatientID=("LO", "P")))


def test_every_kind_of_value_goes_there_and_back() -> None:
    held = {
        tag("ImageType"): entry("CS", "ORIGINAL", "PRIMARY"),
        tag("Rows"): entry("US", 512),
        tag("PixelSpacing"): entry("DS", "0.50", "0.5"),
        tag("InstanceNumber"): entry("IS", "7"),
        tag("StudyDescription"): entry("LO"),
        tag("ConceptNameCodeSequence"): entry("SQ", {"00080104": entry("LO", "Übersicht")}),
        "00280009": entry("AT", "00181063"),
    }
    dataset = over_the_wire(to_dataset(held))
    assert dataset.SpecificCharacterSet == UTF8
    assert from_dataset(dataset, held) == held


def test_numbers_of_a_pacs_that_writes_them_as_numbers() -> None:
    dataset = to_dataset(
        {tag("SliceLocation"): entry("DS", 1 / 3), tag("InstanceNumber"): entry("IS", 7)}
    )
    assert dataset.SliceLocation == pytest.approx(1 / 3)
    assert len(str(dataset.SliceLocation)) <= 16
    assert dataset.InstanceNumber == 7
