import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from p2pacs.dataset.bulk_data import bulk_path, bulk_value, is_pixel_data, parse_bulk_path, turned
from p2pacs.dataset.header import Header, read_header
from p2pacs.errors import NotFoundError, UsageError
from tests.p2pacs.study.samples import BIG_ENDIAN, EXPLICIT, IMPLICIT, instance

DOCUMENT = 0x00420011
ICONS = 0x00880200
PIXELS = 0x7FE00010


def header(syntax: str = EXPLICIT) -> Header:
    icon = Dataset()
    icon.Rows = 2
    icon.BitsAllocated = 16
    icon.PixelRepresentation = 0
    icon.PixelData = b"\1\0\2\0"
    icon["PixelData"].VR = "OW"
    one = instance(
        1, syntax=syntax, EncapsulatedDocument=b"%PDF-1.4", IconImageSequence=[icon, icon]
    )
    found = read_header(one.data, syntax)
    assert found is not None
    return found


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_values_are_little_endian(syntax: str) -> None:
    found = header(syntax)
    assert bulk_value(found, (DOCUMENT,)) == b"%PDF-1.4"
    assert bulk_value(found, (0x00280010,)) == b"\x40\0"  # 64 rows
    icon = bulk_value(found, (ICONS, 2, PIXELS))
    assert icon == (b"\0\1\0\2" if syntax == BIG_ENDIAN else b"\1\0\2\0")


@pytest.mark.parametrize(
    "path",
    [
        (0x00420012,),
        (ICONS,),
        (ICONS, 3, PIXELS),
        (ICONS, 1, DOCUMENT),
        (DOCUMENT, 1, PIXELS),
        (PIXELS,),  # not in the header
    ],
)
def test_what_is_not_there_is_told(path: tuple[int, ...]) -> None:
    with pytest.raises(NotFoundError):
        bulk_value(header(), path)


tags = st.integers(0, 2**32 - 1)


@given(tags, st.lists(st.tuples(st.integers(1, 999_999), tags), max_size=15))
def test_what_is_written_is_read(first: int, further: list[tuple[int, int]]) -> None:
    path = (first, *(part for pair in further for part in pair))
    assert parse_bulk_path(bulk_path(path)) == path


@given(st.text(alphabet="0aF/1.\0 ", max_size=40) | st.text())
def test_a_path_is_tags_and_items(text: str) -> None:
    try:
        path = parse_bulk_path(text)
    except UsageError:
        return
    assert bulk_path(path) == text.upper()


def test_the_deepest_path_is_bounded() -> None:
    with pytest.raises(UsageError):
        parse_bulk_path("/".join(["00880200/1"] * 5000 + ["7FE00010"]))


def test_pixel_data_are_known() -> None:
    assert is_pixel_data((PIXELS,))
    assert not is_pixel_data((ICONS, 1, PIXELS))
    assert not is_pixel_data((DOCUMENT,))


@given(st.binary(), st.sampled_from([2, 4, 8]))
def test_words_are_turned_and_back(data: bytes, word: int) -> None:
    assert turned(turned(data, word), word) == data
    assert len(turned(data, word)) == len(data)
