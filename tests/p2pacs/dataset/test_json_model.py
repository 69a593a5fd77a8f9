from io import BytesIO

import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence

from p2pacs.dataset.json_model import (
    INSTANCE_TAGS,
    STUDY_LEVEL_TAGS,
    entry,
    from_dataset,
    number,
    tag,
    text,
    texts,
)


def sample() -> Dataset:
    dataset = Dataset()
    dataset.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    dataset.PatientID = "77 "
    dataset.InstanceNumber = "5"
    dataset.PixelSpacing = ["0.50", "0.50"]
    dataset.Rows = 512
    dataset.StudyDescription = None
    dataset.ConceptNameCodeSequence = Sequence([Dataset()])
    dataset.ConceptNameCodeSequence[0].CodeValue = "121"
    dataset.PixelData = b"\0\0"
    return dataset


def test_a_data_set_becomes_json_with_its_decimals_as_written() -> None:
    held = from_dataset(sample(), STUDY_LEVEL_TAGS | INSTANCE_TAGS)
    assert held[tag("PatientName")]["Value"][0]["Ideographic"] == "山田^太郎"
    assert texts(held, "PatientName") == ["Yamada^Tarou=山田^太郎=やまだ^たろう"]
    assert texts(held, "PixelSpacing") == ["0.50", "0.50"]
    assert held[tag("Rows")] == {"vr": "US", "Value": [512]}
    assert held[tag("StudyDescription")] == {"vr": "LO"}
    assert held[tag("ConceptNameCodeSequence")]["Value"] == [{"00080100": entry("SH", "121")}]
    assert text(held, "PatientID") == "77"
    assert number(held, "InstanceNumber") == 5
    assert number(held, "PatientID") == 77
    assert number(held, "StudyDescription") is None


def test_binary_attributes_and_unreadable_ones_are_left_out() -> None:
    assert from_dataset(sample(), ["7FE00010"]) == {}
    rows = b"\x28\x00\x10\x00\x03\x00\x00\x00odd"
    dataset = read_dataset(BytesIO(rows), is_implicit_VR=True, is_little_endian=True)
    assert from_dataset(dataset, INSTANCE_TAGS) == {}


def test_an_unknown_keyword_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="NoSuchKeyword"):
        tag("NoSuchKeyword")
