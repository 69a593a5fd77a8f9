from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from p2pacs.dataset.header import Header
from p2pacs.errors import BrokenInstanceError
from p2pacs.rendering.description import ImageDescription, LookupTable, describe
from p2pacs.rendering.options import VoiFunction, VoiWindow

CT = {"Rows": 4, "Columns": 6, "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11}


def of(*, little: bool = True, frame: int = 0, **values: Any) -> ImageDescription:
    """What is said of a frame of an image with these attributes; None: without that one."""
    data = Dataset()
    for name, value in (CT | values).items():
        if value is not None:
            setattr(data, name, value)
    return describe(Header(data, little_endian=little, pixels_at=None, pixels_length=0), frame)


def item(**values: Any) -> Dataset:
    data = Dataset()
    for name, value in values.items():
        setattr(data, name, value)
    return data


def table(count: int, first: int, bits: int, entries: Any) -> Dataset:
    return item(LUTDescriptor=[count, first, bits], LUTData=entries)


# ---------------------------------------------------------------- how samples lie


def test_what_is_said_is_what_is_described() -> None:
    found = of(PixelRepresentation=1, PhotometricInterpretation="MONOCHROME2 ")
    assert (found.rows, found.columns, found.samples) == (4, 6, 1)
    assert (found.allocated, found.stored, found.high, found.signed) == (16, 12, 11, True)
    assert (found.photometric, found.inverted, found.planar) == ("MONOCHROME2", False, False)
    assert (found.slope, found.intercept, found.window, found.padding) == (1.0, 0.0, None, None)


def test_what_is_not_said_follows() -> None:
    found = of(BitsStored=None, HighBit=None)
    assert (found.stored, found.high, found.photometric) == (16, 15, "MONOCHROME2")


@pytest.mark.parametrize(
    "said",
    [
        {"Rows": 0},
        {"Columns": None},
        {"BitsAllocated": None, "BitsStored": None},
        {"BitsAllocated": 8},
        {"BitsAllocated": 128},
        {"HighBit": 10},
        {"HighBit": 16},
    ],
)
def test_what_cannot_be_an_image_is_none(said: dict[str, int | None]) -> None:
    with pytest.raises(BrokenInstanceError):
        of(**said)


@pytest.mark.parametrize(
    ("said", "inverted"),
    [
        ({"PhotometricInterpretation": "MONOCHROME1"}, True),
        ({"PresentationLUTShape": "INVERSE"}, True),
        ({"PresentationLUTShape": "IDENTITY"}, False),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, False),
    ],
)
def test_where_low_values_are_bright(said: dict[str, Any], inverted: bool) -> None:
    assert of(**said).inverted == inverted


# ---------------------------------------------------------------- what they stand for


def test_of_an_enhanced_image_each_frame_has_its_own_values() -> None:
    """Its own group before the shared one, that before the data set (PS3.3 C.7.6.16)."""

    def group(slope: int, centre: int) -> Dataset:
        return item(
            PixelValueTransformationSequence=[item(RescaleSlope=slope, RescaleIntercept=-5)],
            FrameVOILUTSequence=[item(WindowCenter=centre, WindowWidth=100)],
        )

    said = {
        "SharedFunctionalGroupsSequence": [group(9, 90)],
        "PerFrameFunctionalGroupsSequence": [group(2, 20), Dataset()],
        "RescaleSlope": 7,
        "WindowCenter": 70,
        "WindowWidth": 10,
    }
    own, shared, beyond = (of(frame=frame, **said) for frame in (0, 1, 2))
    assert (own.slope, own.intercept, own.window) == (2, -5, VoiWindow(20, 100, VoiFunction.LINEAR))
    assert shared.slope == beyond.slope == 9
    assert shared.window == VoiWindow(90, 100, VoiFunction.LINEAR)
    del said["SharedFunctionalGroupsSequence"]
    assert of(frame=1, **said).slope == 7


@pytest.mark.parametrize(
    ("centre", "width", "function", "window"),
    [
        (40, 400, None, VoiWindow(40, 400, VoiFunction.LINEAR)),
        ([40, 300], [400, 1500], None, VoiWindow(40, 400, VoiFunction.LINEAR)),
        (0.5, 0.5, "LINEAR_EXACT", VoiWindow(0.5, 0.5, VoiFunction.LINEAR_EXACT)),
        (0.5, 0.5, "SIGMOID ", VoiWindow(0.5, 0.5, VoiFunction.SIGMOID)),
        (40, 0.5, None, None),
        (40, 0, "LINEAR_EXACT", None),
        (40, 400, "MAGIC", None),
        (40, None, None, None),
    ],
)
def test_the_first_window_that_can_be_used(
    centre: Any, width: Any, function: str | None, window: VoiWindow | None
) -> None:
    found = of(WindowCenter=centre, WindowWidth=width, VOILUTFunction=function)
    assert found.window == window


@pytest.mark.parametrize("slope", [0, "", None])
def test_a_slope_of_nothing_is_one(slope: Any) -> None:
    assert of(RescaleSlope=slope, RescaleIntercept=-1024).slope == 1.0


@pytest.mark.parametrize(
    ("value", "limit", "signed", "padding"),
    [
        (63536, None, 0, (63536, 63536)),
        (63536, None, 1, (-2000, -2000)),
        (10, 20, 0, (10, 20)),
        (20, 10, 0, (10, 20)),
        (b"\x30\xf8", None, 1, (-2000, -2000)),
        (None, 20, 0, None),
    ],
)
def test_padding_is_between_two_values(
    value: Any, limit: Any, signed: int, padding: tuple[int, int] | None
) -> None:
    data = Dataset()
    for name, one in (CT | {"PixelRepresentation": signed}).items():
        setattr(data, name, one)
    for name, one in (("PixelPaddingValue", value), ("PixelPaddingRangeLimit", limit)):
        if one is not None:
            data.add_new(name, "OW" if isinstance(one, bytes) else "US", one)
    assert (
        describe(Header(data, little_endian=True, pixels_at=None, pixels_length=0), 0).padding
        == padding
    )


# ---------------------------------------------------------------- tables


def test_a_table_says_what_its_first_entry_is_for() -> None:
    found = of(ModalityLUTSequence=[table(3, 0xFFFE, 16, [5, 6, 7])], PixelRepresentation=1)
    assert found.modality == LookupTable(-2, (5, 6, 7), 16)
    found = of(VOILUTSequence=[table(3, 0xFFFE, 12, [5, 6, 7])])
    assert found.voi == LookupTable(0xFFFE, (5, 6, 7), 12)


@pytest.mark.parametrize(
    ("entries", "little", "read"),
    [
        (b"\x01\x02\x03\x00", True, (1, 2, 3)),
        (b"\x01\x00\x02\x00\x03\x00", True, (1, 2, 3)),
        (b"\x00\x01\x00\x02\x00\x03", False, (1, 2, 3)),
        ([1, 2, 3, 4], True, (1, 2, 3)),
    ],
    ids=["bytes", "words", "big endian", "longer"],
)
def test_entries_are_read_as_they_lie(entries: Any, little: bool, read: tuple[int, ...]) -> None:
    one = Dataset()
    one.LUTDescriptor = [3, 0, 8]
    one.add_new("LUTData", "OW" if isinstance(entries, bytes) else "US", entries)
    found = of(VOILUTSequence=[one], little=little).voi
    assert found is not None
    assert found.entries == read


def test_a_descriptor_of_no_entries_means_all_that_16_bits_hold() -> None:
    found = of(VOILUTSequence=[table(0, 0, 16, list(range(65_536)))]).voi
    assert found is not None
    assert len(found.entries) == 65_536


@pytest.mark.parametrize(
    "one",
    [table(4, 0, 16, [1, 2, 3]), table(3, 0, 0, [1, 2, 3]), table(3, 0, 17, [1, 2, 3]), item()],
    ids=["too short", "no bits", "too many bits", "empty"],
)
def test_a_table_that_contradicts_itself_is_none(one: Dataset) -> None:
    assert of(VOILUTSequence=[one]).voi is None


def test_a_palette_has_three_tables_or_is_none() -> None:
    name, said = "PaletteColorLookupTable", dict[str, Any]()
    for colour in ("Red", "Green", "Blue"):
        said |= {f"{colour}{name}Descriptor": [2, 0, 16], f"{colour}{name}Data": b"\1\0\2\0"}
    whole = of(PhotometricInterpretation="PALETTE COLOR", **said).palette
    assert whole == (LookupTable(0, (1, 2), 16),) * 3
    assert of(PhotometricInterpretation="MONOCHROME2", **said).palette is None
    del said[f"Green{name}Data"]
    assert of(PhotometricInterpretation="PALETTE COLOR", **said).palette is None


# ---------------------------------------------------------------- a header of anything

TAGS = [
    *("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "HighBit"),
    *("PixelRepresentation", "PlanarConfiguration", "PhotometricInterpretation"),
    *("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "VOILUTFunction"),
    *("PixelPaddingValue", "PixelPaddingRangeLimit", "PresentationLUTShape"),
    *("ModalityLUTSequence", "VOILUTSequence", "LUTDescriptor", "LUTData"),
    *("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"),
    *("PixelValueTransformationSequence", "FrameVOILUTSequence"),
    *("RedPaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData"),
]
VALUES = st.one_of(
    st.tuples(st.just("US"), st.one_of(st.integers(0, 65_535), st.lists(st.integers(0, 9)))),
    st.tuples(st.just("DS"), st.sampled_from(["", "1e308", "nan", "inf", "-0.5"])),
    st.tuples(st.just("CS"), st.sampled_from(["", "PALETTE COLOR", "MONOCHROME1"])),
    st.tuples(st.just("OW"), st.binary(max_size=8)),
)


@st.composite
def datasets(draw: st.DrawFn, depth: int = 2) -> Dataset:
    data = Dataset()
    for name in draw(st.lists(st.sampled_from(TAGS), unique=True, max_size=10)):
        if depth and draw(st.booleans()):
            items = draw(st.lists(datasets(depth=depth - 1), max_size=2))
            data.add_new(name, "SQ", Sequence(items))
        else:
            data.add_new(name, *draw(VALUES))
    return data


@given(data=datasets(), frame=st.integers(0, 2), little=st.booleans())
@settings(max_examples=50)
def test_whatever_a_header_says_is_described_or_refused(
    data: Dataset, frame: int, little: bool
) -> None:
    for name, value in CT.items():
        if name not in data:
            setattr(data, name, value)
    try:
        found = describe(Header(data, little_endian=little, pixels_at=None, pixels_length=0), frame)
    except BrokenInstanceError:
        return
    assert found.rows > 0
    assert found.columns > 0
    assert 0 < found.stored <= found.allocated <= 64
    assert found.stored - 1 <= found.high < found.allocated
    for one in (found.modality, found.voi):
        assert one is None or (one.entries and 0 < one.bits <= 16)
