import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.dataset.elements import attributes_of
from p2pacs.dataset.header import read_header
from p2pacs.dataset.json_model import (
    DEPTH,
    checked,
    dump,
    entry,
    load,
    load_answers,
    load_some,
    number,
    text,
    texts,
    understood,
)
from p2pacs.dataset.vocabulary import tag
from tests.p2pacs.study.samples import EXPLICIT, instance


def test_values_as_text() -> None:
    held = {
        tag("PatientID"): entry("LO", "77 "),
        tag("StudyDescription"): entry("LO", None),
        tag("Rows"): entry("US", 512),
        tag("PatientName"): entry("PN", {"Alphabetic": "A^B", "Phonetic": "c"}),
    }
    assert text(held, "PatientID") == "77"
    assert number(held, "PatientID") == 77
    assert number(held, "Rows") == 512
    assert number(held, "StudyDescription") is None
    assert texts(held, "PatientName") == ["A^B==c"]
    assert text(held, "Modality") == ""


@pytest.mark.parametrize("said", ["1_0", "٣", "", "1.5", "9" * 30])
def test_what_is_no_whole_number(said: str) -> None:
    assert number({tag("InstanceNumber"): {"vr": "IS", "Value": [said]}}, "InstanceNumber") is None


def test_numbers_in_place_of_texts_are_read() -> None:
    """As indexes of version 0.1 have them, and answers of a DICOMweb PACS."""
    old = load(b'{"00200013":{"vr":"IS","Value":[7]},"00201041":{"vr":"DS","Value":[-120.5]}}')
    assert number(old, "InstanceNumber") == 7
    assert text(old, "SliceLocation") == "-120.5"


def test_dump_and_load() -> None:
    header = read_header(instance().data, EXPLICIT)
    assert header is not None
    found = attributes_of(header)
    raw = dump(found)
    assert load(raw) == found
    assert "Grün".encode() in raw
    assert b" " not in raw.replace(b"ISO_IR 192", b"")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(st.binary(max_size=50) | json_values.map(json.dumps).map(str.encode))
def test_load_only_raises_value_error(junk: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(load(junk), dict)
    with suppress(ValueError):
        assert isinstance(load_some(junk, ["InstanceNumber"]), dict)


def test_some_attributes_are_loaded_without_a_look_at_the_others() -> None:
    number, other = {"vr": "IS", "Value": ["7"]}, {"vr": "?", "Value": 1}
    raw = dump({"00200013": number, "00080008": other})
    assert load_some(raw, ["InstanceNumber", "SeriesNumber"]) == {"00200013": number}
    with pytest.raises(ValueError, match="JSON model"):
        load_some(raw, ["ImageType"])


def test_deep_json() -> None:
    for read in (load, load_answers, lambda raw: load_some(raw, ["Rows"])):
        with pytest.raises(ValueError, match="deep"):
            read(b"[" * 100_000)
    nested: dict[str, Any] = {}
    for _ in range(DEPTH + 2):
        nested = {"0040A043": {"vr": "SQ", "Value": [nested]}}
    with pytest.raises(ValueError, match="JSON model"):
        checked(nested)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"0010": {"vr": "LO"}},
        {"0010001g": {"vr": "LO"}},
        {"00100010": []},
        {"00100010": {"vr": "LONG"}},
        {"00100010": {"Value": ["x"]}},
        {"00100010": {"vr": "XX", "Value": ["x"]}},
        {"00100010": {"vr": "LO", "Value": "x"}},
        {"00100010": {"vr": "LO", "Value": [["x"]]}},
        {"00100010": {"vr": "PN", "Value": ["x"]}},
        {"00100010": {"vr": "PN", "Value": [{"Alphabetic": 1}]}},
        {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "\ud800"}]}},
        {"00100020": {"vr": "LO", "Value": ["\ud800"]}},
        {"00280010": {"vr": "US", "Value": [1.5]}},
        {"00280010": {"vr": "US", "Value": [65536]}},
        {"00280009": {"vr": "AT", "Value": ["pixels"]}},
        {"0040A043": {"vr": "SQ", "Value": ["x"]}},
        {"7FE00010": {"vr": "OB", "InlineBinary": "AA=="}},
    ],
)
def test_what_is_not_the_model_is_refused_and_of_an_answer_left_out(wrong: Any) -> None:
    with pytest.raises(ValueError, match="JSON model"):
        checked(wrong)
    kept = understood(wrong, wrong if isinstance(wrong, dict) else ["00100010"])
    assert not any(held.get("Value") for held in kept.values())
    checked({key: value for key, value in kept.items() if len(key) == 8 and key != "0010001g"})


def test_answers_of_a_dicomweb_pacs_that_gives_numbers() -> None:
    (answer,) = load_answers(
        b'[{"00201041":{"vr":"DS","Value":[-120.50]},"00200013":{"vr":"IS","Value":[7]},'
        b'"00200032":{"vr":"DS","Value":[-158.13580300000001,-77.204063415500002]},'
        b'"00280030":{"vr":"DS","Value":["0.50",1]},"00189087":{"vr":"FD","Value":[0.5]},'
        b'"00100020":{"vr":"LO","Value":["P"]},'
        b'"0040A043":{"vr":"SQ","Value":[{"00080100":{"vr":"SH","Value":["121"]}}, "no item"]}}]'
    )
    held = understood(answer, answer)
    assert texts(held, "SliceLocation") == ["-120.50"]
    assert texts(held, "InstanceNumber") == ["7"]
    assert texts(held, "ImagePositionPatient") == ["-158.135803", "-77.2040634155"]
    assert texts(held, "PixelSpacing") == ["0.50", "1"]
    assert held["00189087"]["Value"] == [0.5]
    assert held["0040A043"]["Value"] == [{"00080100": entry("SH", "121")}]
    assert set(understood(answer, ["00100020"])) == {"00100020"}
    checked(held)


@given(json_values, st.text("0123456789ABCDEF", min_size=8, max_size=8))
def test_what_is_understood_has_the_shape(junk: object, key: str) -> None:
    checked(understood({key: {"vr": "SQ", "Value": [junk]}}, [key]))
    checked(understood({key: junk, "00100010": {"vr": "PN", "Value": [junk]}}, [key, "00100010"]))


@pytest.mark.parametrize("value", [float("inf"), float("nan"), None, [], {}])
def test_values_that_no_database_takes_are_left_out(value: object) -> None:
    for vr in ("UI", "IS", "DS"):
        answer = {"00020010": {"vr": vr, "Value": [value, "1"]}, "x": 1, "00100010": "no object"}
        assert understood(answer, ["00020010", "00100010"]) == {"00020010": entry(vr, "1")}


def test_decimals_beyond_floats_stay_texts() -> None:
    (answer,) = load_answers(b'[{"00201041":{"vr":"DS","Value":[1.5e400, 0.10]}}]')
    assert texts(understood(answer, answer), "SliceLocation") == [str(Decimal("1.5e400")), "0.10"]


@pytest.mark.parametrize(
    ("vr", "values", "expected"),
    [
        ("CS", ["DERIVED ", "PRIMARY"], ["DERIVED", "PRIMARY"]),
        ("CS", ["ORIGINAL¥PRIMARY¥AXIAL"], ["ORIGINAL", "PRIMARY", "AXIAL"]),
        ("CS", ["ORIGINAL\\PRIMARY"], ["ORIGINAL", "PRIMARY"]),
        ("DS", ["0.431\ufffd0.431"], ["0.431", "0.431"]),
        ("DS", ["0.5\\0.25"], ["0.5", "0.25"]),
        ("IS", [7, "8\0"], ["7", "8"]),
        ("LO", ["¥ 100 "], ["¥ 100"]),
        ("LT", [" a\\b "], [" a\\b "]),
    ],
)
def test_values_are_separated_and_without_padding(
    vr: str, values: list[object], expected: list[str]
) -> None:
    held = understood({"00080008": {"vr": vr, "Value": values}}, ["00080008"])
    assert held["00080008"]["Value"] == expected
