import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from p2pacs.dataset.attributes import Json, attributes_of, dump, first_number, first_text, load
from p2pacs.dataset.header import read_header
from tests.p2pacs.study.samples import BIG_ENDIAN, EXPLICIT, IMPLICIT, dataset, encode, instance


def of(data: bytes, syntax: str = EXPLICIT) -> Json:
    header = read_header(data, syntax)
    assert header is not None
    return attributes_of(header)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_the_dicom_json_of_pydicom(syntax: str) -> None:
    """pydicom's own JSON of the same data set agrees, element by element."""
    made = dataset(
        7,
        ImageType=["ORIGINAL", "PRIMARY"],
        SliceThickness="1.50",
        ImagePositionPatient=["-1", "2.5", "3e1"],
        StudyDate="20260102",
        SeriesDescription="Kopf, nüchtern",
        AccessionNumber="",
    )
    made.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    found = of(instance(7).data)
    expected = made.to_json_dict()
    data = encode(made, implicit=syntax == IMPLICIT, little=syntax != BIG_ENDIAN)
    found = of(data, syntax)
    assert found
    for tag, value in found.items():
        assert value == expected[tag], tag
    assert {"00200013", "00280010", "00100010", "00080050"} <= found.keys()


def test_japanese_with_escapes() -> None:
    made = Dataset()
    made.SpecificCharacterSet = ["ISO 2022 IR 6", "ISO 2022 IR 87"]
    made.PatientName = "Yamada^Tarou=山田^太郎"
    found = of(encode(made))
    assert found["00100010"]["Value"] == [
        {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}
    ]


def test_an_empty_value_of_unknown_vr() -> None:
    data = encode(dataset(AccessionNumber="")).replace(b"\x08\0\x50\0SH", b"\x08\0\x50\0U\0")
    assert of(data)["00080050"] == {"vr": "SH"}


def test_values_that_are_no_numbers_stay_texts() -> None:
    data = encode(dataset()).replace(b"IS\x02\x001 ", b"IS\x02\x00a ")
    assert of(data)["00200013"] == {"vr": "IS", "Value": ["a"]}


def test_first_values() -> None:
    found = of(instance(5).data)
    assert first_number(found, "00200013") == 5
    assert first_text(found, "00080060") == "CT"
    assert first_text(found, "00200013") is None
    assert first_number(found, "00080060") is None
    assert first_text({}, "00080060") is None


@pytest.mark.filterwarnings("error")
def test_wrong_values_are_not_told_to_the_log() -> None:
    data = encode(dataset()).replace(b"1.2.826.0.1.1.1.1", b"PATIENT NAME HERE")
    assert of(data)["00080018"]["Value"] == ["PATIENT NAME HERE"]


def test_dump_and_load() -> None:
    found = of(instance().data)
    raw = dump(found)
    assert load(raw) == found
    assert "Grün".encode() in raw
    assert b" " not in raw.replace(b"ISO_IR 192", b"")


@given(
    st.binary(max_size=50)
    | st.recursive(st.none() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_load_only_raises_value_error(junk: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(load(junk), dict)


def test_deep_json() -> None:
    with pytest.raises(ValueError, match="deep"):
        load(b"[" * 100_000)
