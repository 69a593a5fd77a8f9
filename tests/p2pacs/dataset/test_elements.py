from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence

from p2pacs.dataset.elements import VALUE_BYTES, attributes_of, from_dataset, read_element
from p2pacs.dataset.header import read_header
from p2pacs.dataset.json_model import Json, checked, number, text, texts
from p2pacs.dataset.vocabulary import HEADER_TAGS, INSTANCE_TAGS, STUDY_LEVEL_TAGS, tag
from tests.odd import ODD_BYTES, ODD_VALUES
from tests.p2pacs.study.samples import BIG_ENDIAN, EXPLICIT, IMPLICIT, dataset, encode, instance


def of(data: bytes, syntax: str = EXPLICIT) -> Json:
    header = read_header(data, syntax)
    assert header is not None
    return attributes_of(header)


def decoded(made: Dataset) -> Dataset:
    return read_dataset(BytesIO(encode(made)), is_implicit_VR=False, is_little_endian=True)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_the_dicom_json_of_pydicom(syntax: str) -> None:
    """pydicom's own JSON of the same data set agrees, element by element, but for decimals."""
    made = dataset(
        7,
        ImageType=["ORIGINAL", "PRIMARY"],
        StudyDate="20260102",
        SeriesDescription="Kopf, nüchtern",
        AccessionNumber="",
        ImageComments=r"one\text",
    )
    made.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    item = Dataset()
    item.ScheduledProcedureStepDescription = "Thorax, tägl."
    made.RequestAttributesSequence = Sequence([item])
    expected = made.to_json_dict()
    found = of(encode(made, implicit=syntax == IMPLICIT, little=syntax != BIG_ENDIAN), syntax)
    assert found.pop("00080005") == {"vr": "CS", "Value": ["ISO_IR 192"]}
    for key, value in found.items():
        assert value["vr"] == expected[key]["vr"], key
        if value["vr"] not in ("IS", "DS"):
            assert value == expected[key], key
    assert {tag("Rows"), tag("PatientName"), tag("AccessionNumber")} <= found.keys()
    assert tag("RequestAttributesSequence") in found


@pytest.mark.parametrize(
    ("keyword", "said"),
    [
        ("SliceThickness", ["-120.50"]),
        ("InstanceNumber", ["007"]),
        ("PixelSpacing", ["0.50", "5e-1"]),
        ("SliceLocation", ["not a number"]),
    ],
)
def test_what_decimals_and_integers_say_stays(keyword: str, said: list[str]) -> None:
    made = dataset(1)
    made.add_new(tag(keyword), "LO", said)
    raw = encode(made).replace(
        bytes.fromhex(tag(keyword))[1::-1] + bytes.fromhex(tag(keyword))[:1:-1] + b"LO",
        bytes.fromhex(tag(keyword))[1::-1] + bytes.fromhex(tag(keyword))[:1:-1] + b"DS",
    )
    assert texts(of(raw), keyword) == said


def test_a_header_and_a_converted_data_set_say_the_same() -> None:
    """The two ways into the JSON model agree: values still encoded, and converted by pydicom."""
    made = dataset(7, ImageType=["ORIGINAL", "PRIMARY"], SliceThickness="1.50")
    made.PatientName, made.AccessionNumber = "Müller^Jörg", ""
    raw = decoded(made)
    converted = decoded(made)
    for _ in converted.iterall():
        pass
    assert from_dataset(raw, HEADER_TAGS) == from_dataset(converted, HEADER_TAGS)


def test_japanese_with_escapes() -> None:
    made = Dataset()
    made.SpecificCharacterSet = ["ISO 2022 IR 6", "ISO 2022 IR 87"]
    made.PatientName = "Yamada^Tarou=山田^太郎"
    found = of(encode(made))
    assert found["00100010"]["Value"] == [
        {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}
    ]


@pytest.mark.parametrize(
    ("charset", "yen"),
    [
        ("ISO_IR 13", b"\x5c"),
        ("ISO_IR 100", b"\xa5"),
        ("ISO_IR 192", b"\xc2\xa5"),
        ("ISO_IR 192", b"\xa5"),
    ],
)
def test_codes_have_the_default_repertoire_whatever_the_character_set(
    charset: str, yen: bytes
) -> None:
    """0x5C is a yen sign in ISO_IR 13; a PACS that converted all text writes that one."""
    made = Dataset()
    made.SpecificCharacterSet, made.ImageType = charset, "ORIGINAL  AXIAL"
    raw = encode(made).replace(b"  ", yen.rjust(2))
    held = from_dataset(
        read_dataset(BytesIO(raw), is_implicit_VR=False, is_little_endian=True), HEADER_TAGS
    )
    assert texts(held, "ImageType") == ["ORIGINAL", "AXIAL"]


def test_an_empty_value_of_unknown_vr() -> None:
    data = encode(dataset(AccessionNumber="")).replace(b"\x08\0\x50\0SH", b"\x08\0\x50\0U\0")
    assert of(data)["00080050"] == {"vr": "SH"}


def test_a_number_that_is_encoded_otherwise_than_usual() -> None:
    data = encode(dataset()).replace(b"\x28\0\x10\0US\x02\0", b"\x28\0\x10\0SS\x02\0")
    assert of(data)[tag("Rows")] == of(encode(dataset()))[tag("Rows")] | {"vr": "SS"}


@pytest.mark.filterwarnings("error")
def test_wrong_values_are_not_told_to_the_log() -> None:
    data = encode(dataset()).replace(b"1.2.826.0.1.1.1.1", b"PATIENT NAME HERE")
    assert of(data)["00080018"]["Value"] == ["PATIENT NAME HERE"]


# ---------------------------------------------------------------- of pydicom's data sets


def sample() -> Dataset:
    made = Dataset()
    made.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    made.PatientID = "77 "
    made.InstanceNumber = "5"
    made.PixelSpacing = ["0.50", "0.50"]
    made.Rows = 512
    made.StudyDescription = None
    made.ConceptNameCodeSequence = Sequence([Dataset()])
    made.ConceptNameCodeSequence[0].CodeValue = "121"
    made.PixelData = b"\0\0"
    return made


def test_a_data_set_becomes_json_with_its_decimals_as_written() -> None:
    held = from_dataset(sample(), STUDY_LEVEL_TAGS | INSTANCE_TAGS)
    assert held[tag("PatientName")]["Value"][0]["Ideographic"] == "山田^太郎"
    assert texts(held, "PatientName") == ["Yamada^Tarou=山田^太郎=やまだ^たろう"]
    assert texts(held, "PixelSpacing") == ["0.50", "0.50"]
    assert held[tag("Rows")] == {"vr": "US", "Value": [512]}
    assert held[tag("StudyDescription")] == {"vr": "LO"}
    assert held[tag("ConceptNameCodeSequence")]["Value"] == [
        {"00080100": {"vr": "SH", "Value": ["121"]}}
    ]
    assert text(held, "PatientID") == "77"
    assert number(held, "InstanceNumber") == 5


def test_binary_attributes_and_unreadable_ones_are_left_out() -> None:
    assert from_dataset(sample(), ["7FE00010"]) == {}
    rows = b"\x28\x00\x10\x00\x03\x00\x00\x00odd"
    made = read_dataset(BytesIO(rows), is_implicit_VR=True, is_little_endian=True)
    assert from_dataset(made, INSTANCE_TAGS) == {}
    with pytest.raises(ValueError, match=r"\(0028,0010\)") as caught:
        read_element(made, tag("Rows"))
    assert "odd" not in str(caught.value)


@ODD_VALUES
def test_what_is_longer_than_a_key_can_be_is_left_out() -> None:
    made = Dataset()
    made.ImageComments = "x" * (VALUE_BYTES + 2)
    made.ConceptNameCodeSequence = Sequence([Dataset() for _ in range(500)])
    for item in made.ConceptNameCodeSequence:
        item.CodeMeaning = "y" * 200
    held = from_dataset(decoded(made), INSTANCE_TAGS)
    assert held == {}
    few = from_dataset(made, INSTANCE_TAGS)[tag("ConceptNameCodeSequence")]["Value"]
    assert len(few) == 64


def test_sequences_nested_without_end_are_cut() -> None:
    made = Dataset()
    inner = made
    for _ in range(40):
        inner.ConceptNameCodeSequence = Sequence([Dataset()])
        inner = inner.ConceptNameCodeSequence[0]
    inner.CodeValue = "1"
    checked(from_dataset(made, INSTANCE_TAGS))


@ODD_BYTES
@ODD_VALUES
@given(st.binary(max_size=300), st.booleans(), st.booleans())
def test_whatever_the_bytes_are_the_shape_is_right(data: bytes, implicit: bool, big: bool) -> None:
    header = read_header(data, BIG_ENDIAN if big else IMPLICIT if implicit else EXPLICIT)
    if header is not None:
        checked(attributes_of(header))


@ODD_BYTES
@ODD_VALUES
@given(st.dictionaries(st.sampled_from(sorted(HEADER_TAGS)), st.binary(max_size=40), max_size=6))
def test_whatever_the_values_are_the_shape_is_right(values: dict[str, bytes]) -> None:
    made = b"".join(
        bytes.fromhex(key)[1::-1]
        + bytes.fromhex(key)[:1:-1]
        + len(value).to_bytes(4, "little")
        + value
        for key, value in sorted(values.items())
    )
    header = read_header(made, IMPLICIT)
    if header is not None:
        checked(attributes_of(header))


def test_the_first_instance_of_the_samples() -> None:
    found = of(instance(5).data)
    assert number(found, "InstanceNumber") == 5
    assert text(found, "Modality") == "CT"
