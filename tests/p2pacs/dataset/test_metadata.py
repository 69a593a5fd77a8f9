import json
import math
import warnings
from pathlib import Path
from typing import Any

import pydicom
import pydicom.data
import pytest
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from p2pacs.dataset.bare import read_instance
from p2pacs.dataset.header import read_header
from p2pacs.dataset.metadata import MetadataWriter, metadata_of
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import BrokenInstanceError
from tests.p2pacs.study import samples

BULK = "http://localhost/bulkdata"
WRITER = MetadataWriter()
"""One for all tests: what it remembers of another data set must not be told of this one."""
IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"


def metadata(data: bytes, syntax: str = EXPLICIT) -> dict[str, Any]:
    header = read_header(data, syntax)
    assert header is not None
    found = metadata_of(header, data, syntax, BULK)
    json.dumps(found, allow_nan=False)
    for _ in range(2):  # by what it remembers the second time
        assert json.loads(WRITER.text(data, syntax, BULK)) == found
    return found


def encoded(**how: Any) -> bytes:
    dataset = samples.dataset(7, PatientName="Grün^Zoë", SliceThickness="1.50")
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PixelRepresentation = 1
    dataset.add(DataElement(0x00280120, "SS", -2000))
    dataset.add(DataElement(0x00110010, "LO", "OURS"))
    dataset.add(DataElement(0x00111001, "OB", b"\x01\x02"))
    item = Dataset()
    item.CodeValue = "T-1"
    dataset.ProcedureCodeSequence = [item]
    return samples.encode(dataset, **how)


@pytest.mark.parametrize(
    ("syntax", "how"),
    [(EXPLICIT, {}), (IMPLICIT, {"implicit": True}), (BIG, {"little": False})],
)
def test_every_element_is_there(syntax: str, how: dict[str, Any]) -> None:
    found = metadata(encoded(**how), syntax)
    assert found[tag("PatientName")] == {"vr": "PN", "Value": [{"Alphabetic": "Grün^Zoë"}]}
    assert found[tag("SpecificCharacterSet")]["Value"] == ["ISO_IR 192"]
    assert found[tag("SliceThickness")] == {"vr": "DS", "Value": [1.5]}
    assert found["00280120"] == {"vr": "SS", "Value": [-2000]}
    assert found[tag("ProcedureCodeSequence")]["Value"] == [
        {tag("CodeValue"): {"vr": "SH", "Value": ["T-1"]}}
    ]
    assert found["00111001"] == {"vr": "UN" if syntax == IMPLICIT else "OB", "InlineBinary": "AQI="}
    assert found[tag("PixelData")] == {"vr": "OW", "BulkDataURI": f"{BULK}/7FE00010"}
    assert list(found) == sorted(found)


def test_what_json_has_no_number_for() -> None:
    dataset = samples.dataset()
    dataset.add(DataElement(0x00189073, "FD", math.nan))
    dataset.add(DataElement(0x00189074, "FD", [1.0, -math.inf]))
    found = metadata(samples.encode(dataset))
    assert found["00189073"]["Value"] == ["NaN"]
    assert found["00189074"]["Value"] == [1.0, "-Infinity"]


def test_as_pydicom_has_it() -> None:
    """Of every readable file that comes with pydicom: the same as pydicom itself tells."""
    compared = 0
    for path in sorted(DATA.rglob("*.dcm")):
        try:
            instance = read_instance(path.read_bytes())
        except BrokenInstanceError:
            continue
        header = read_header(instance.data, instance.transfer_syntax_uid)
        if header is None:
            continue
        found = metadata_of(header, instance.data, instance.transfer_syntax_uid, BULK)
        json.dumps(found, allow_nan=False)
        for _ in range(2):
            text = WRITER.text(instance.data, instance.transfer_syntax_uid, BULK)
            assert list(json.loads(text).items()) == list(found.items()), path
        theirs = _theirs(path)
        compared += len(theirs)
        for key, values in theirs.items():
            assert [_text(value) for value in found[key].get("Value", [])] == values, (path, key)
    assert compared > 1000


DATA = Path(pydicom.data.__file__).parent / "test_files"
COMPARED = {"AE", "AS", "CS", "DA", "DS", "IS", "LO", "SH", "TM", "UI", "US", "SS", "UL", "FD"}


def _theirs(path: Path) -> dict[str, list[str]]:
    """Values by tag, as far as pydicom understands them."""
    found: dict[str, list[str]] = {}
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        for number in sorted(dataset.keys()):
            try:
                element = dataset[number]
            except Exception:  # noqa: BLE001, S112 - what pydicom cannot tell is not compared
                continue
            if element.VR in COMPARED and number.element and number != 0x00080005:
                values = element.value if element.VM > 1 else [element.value] if element.VM else []
                found[f"{int(number):08X}"] = [_text(value) for value in values]
    return found


def _text(value: object) -> str:
    text = "" if value is None else str(value).strip(" \0")
    try:
        return str(float(text))
    except ValueError:
        return text


def test_what_is_the_same_is_told_the_same_only_where_it_means_the_same() -> None:
    """A value of the same bytes is another one in another character set."""
    for charset, name in (("ISO_IR 100", "Grün"), ("ISO_IR 192", "Grün"), ("ISO_IR 101", "Grün")):
        dataset = samples.dataset(7, PatientName=f"{name}^Zoë")
        dataset.SpecificCharacterSet = charset
        for _ in range(2):
            found = metadata(samples.encode(dataset))
            assert found[tag("PatientName")]["Value"] == [{"Alphabetic": f"{name}^Zoë"}]
    raw = b"\x08\x00\x05\x00CS\x0a\x00%s\x10\x00\x10\x00PN\x02\x00\xe9 "
    latin, cyrillic = (metadata(raw % charset) for charset in (b"ISO_IR 100", b"ISO_IR 144"))
    assert latin[tag("PatientName")] != cyrillic[tag("PatientName")]
