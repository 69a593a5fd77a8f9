from typing import Any

import pytest
from pydicom.dataset import Dataset

from p2pacs.errors import TranscodingError
from p2pacs.transcode.elements import SequenceItem, read_elements
from p2pacs.transcode.image import Image, native_changes, read_image, value_of
from p2pacs.transcode.rewriting import NewValue
from p2pacs.transcode.syntaxes import Encoding
from tests.p2pacs.transcode.samples import EXPLICIT, coloured, encoded, grey


def parsed(dataset: Dataset) -> tuple[bytes, SequenceItem]:
    data = encoded(dataset, EXPLICIT).data
    return data, read_elements(data, Encoding(), deep=False)


def test_an_image() -> None:
    data, item = parsed(grey(NumberOfFrames=3, PixelRepresentation=1))
    assert read_image(data, item, nested=False) == Image(20, 30, 1, 16, 12, True, "MONOCHROME2", 3)
    icon = read_image(data, item, nested=True)
    assert icon.frames == 1
    assert icon.frame_bytes == 1200


@pytest.mark.parametrize(
    "wrong",
    [
        {"Rows": 0},
        {"SamplesPerPixel": 2},
        {"SamplesPerPixel": 4},
        {"BitsAllocated": 12},
        {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0},
        {"BitsStored": 17, "HighBit": 16},
        {"BitsStored": 0},
        {"HighBit": 15},
        {"NumberOfFrames": 0},
        {"NumberOfFrames": -1},
        {"NumberOfFrames": 1_000_000},
        {"Rows": 65535, "Columns": 65535},
    ],
)
def test_an_impossible_image_is_refused(wrong: dict[str, Any]) -> None:
    data, item = parsed(grey(**wrong))
    with pytest.raises(TranscodingError):
        read_image(data, item, nested=False)


@pytest.mark.parametrize("keyword", ["Rows", "Columns", "SamplesPerPixel", "BitsAllocated"])
def test_what_does_not_say_is_refused(keyword: str) -> None:
    dataset = grey()
    delattr(dataset, keyword)
    data, item = parsed(dataset)
    with pytest.raises(TranscodingError, match="does not say"):
        read_image(data, item, nested=False)


def test_what_changes() -> None:
    data, item = parsed(coloured("YBR_RCT", PlanarConfiguration=1))
    image = read_image(data, item, nested=False)
    assert native_changes(data, item, image, b"pixels", "RGB") == {
        0x00280004: NewValue("CS", b"RGB "),
        0x00280006: NewValue("US", b"\0\0"),
        0x7FE00001: None,
        0x7FE00002: None,
        0x7FE00003: None,
        0x7FE00010: NewValue("OB", b"pixels"),
    }


def test_what_need_not_change_stays() -> None:
    data, item = parsed(grey())
    image = read_image(data, item, nested=False)
    changes = native_changes(data, item, image, b"pixels", "MONOCHROME2")
    assert {tag for tag, new in changes.items() if new} == {0x7FE00010}
    assert changes[0x7FE00010] == NewValue("OW", b"pixels")
    data, item = parsed(coloured(PlanarConfiguration=1))
    image = read_image(data, item, nested=False)
    changes = native_changes(data, item, image, b"pixels", None)
    assert {tag for tag, new in changes.items() if new} == {0x7FE00010}


def test_a_value_that_is_not_there_is_empty() -> None:
    data, item = parsed(grey())
    assert value_of(data, item, 0x00280100) == b"\x10\0"
    assert value_of(data, item, 0x7FE00001) == b""
