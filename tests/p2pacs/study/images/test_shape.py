import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from p2pacs.dataset.header import Header, read_header
from p2pacs.study.images import Shape
from p2pacs.study.images.shape import shape_of
from tests.p2pacs.study.samples import BIG_ENDIAN, EXPLICIT, IMPLICIT, dataset, encode

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom comments on junk


def header_of(made: Dataset, syntax: str = EXPLICIT) -> Header:
    data = encode(made, implicit=syntax == IMPLICIT, little=syntax != BIG_ENDIAN)
    header = read_header(data, syntax)
    assert header is not None
    return header


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_a_slice_of_ct(syntax: str) -> None:
    made = dataset(rows=64, columns=48, PixelRepresentation=1, WindowCenter=40, WindowWidth=400)
    found = shape_of(header_of(made, syntax), 64 * 48 * 2)
    assert found == Shape(
        64, 48, 1, 16, signed=True, big_endian=syntax == BIG_ENDIAN, window=(40.0, 400.0)
    )


def test_colours_in_planes() -> None:
    made = dataset(rows=4, columns=5, BitsAllocated=8, SamplesPerPixel=3, PlanarConfiguration=1)
    made.PhotometricInterpretation = "RGB"
    found = shape_of(header_of(made), 60)
    assert found == Shape(4, 5, 3, 8, planar=True, photometric="RGB")


def test_the_window_is_that_of_stored_values() -> None:
    made = dataset(
        WindowCenter=["40", "600"],
        WindowWidth=["80", "2800"],
        RescaleSlope="2",
        RescaleIntercept="-1000",
    )
    found = shape_of(header_of(made), 8192)
    assert found is not None
    assert found.window == (520.0, 40.0)


@pytest.mark.parametrize(
    "extra",
    [
        {"WindowCenter": "40"},
        {"WindowCenter": "40", "WindowWidth": "0"},
        {"WindowCenter": "40", "WindowWidth": "-7"},
        {"WindowCenter": "40", "WindowWidth": "80", "RescaleSlope": "0"},
        {"WindowCenter": "40", "WindowWidth": "80", "RescaleSlope": "-1"},
        {"WindowCenter": "1e308", "WindowWidth": "80", "RescaleSlope": "1e-308"},
    ],
)
def test_a_window_that_is_none_is_left_out(extra: dict[str, str]) -> None:
    found = shape_of(header_of(dataset(**extra)), 8192)
    assert found is not None
    assert found.window is None


@pytest.mark.parametrize(
    ("changes", "frame_bytes"),
    [
        ({}, 8190),  # the frames were cut otherwise
        ({"Rows": 63}, 8192),
        ({"Columns": 65535, "Rows": 65535}, 8192),
        ({"Columns": 0}, 0),
        ({"BitsAllocated": 1}, 512),
        ({"BitsAllocated": 32}, 16384),
        ({"BitsAllocated": 12}, 6144),
        ({"SamplesPerPixel": 2}, 16384),
        ({"SamplesPerPixel": 4}, 32768),
        ({"SamplesPerPixel": 0}, 0),
    ],
)
def test_what_fits_no_image_codec_has_no_shape(changes: dict[str, int], frame_bytes: int) -> None:
    assert shape_of(header_of(dataset(**changes)), frame_bytes) is None


def test_subsampled_colours_have_no_shape() -> None:
    made = dataset(rows=4, columns=4, BitsAllocated=8, SamplesPerPixel=3)
    made.PhotometricInterpretation = "YBR_FULL_422"
    assert shape_of(header_of(made), 32) is None


def test_samples_and_sign_that_are_absent_are_one_and_none() -> None:
    made = dataset()
    del made.SamplesPerPixel
    del made.PixelRepresentation
    del made.PhotometricInterpretation
    assert shape_of(header_of(made), 8192) == Shape(64, 64, 1, 16, photometric="")


def test_frames_too_large_to_hold_several_times_have_no_shape() -> None:
    made = dataset(rows=64, columns=64)
    made.Rows, made.Columns = 8000, 8000
    assert shape_of(header_of(made), 8000 * 8000 * 2) is None


@given(st.binary(max_size=200), st.integers(0, 1 << 20))
def test_whatever_header_there_is_the_shape_is_that_of_the_frame(raw: bytes, size: int) -> None:
    header = read_header(raw, IMPLICIT)
    if header is not None:
        found = shape_of(header, size)
        assert found is None or found.size == size


@given(st.dictionaries(st.sampled_from(range(12)), st.binary(max_size=40)))
def test_elements_of_any_bytes_are_read_or_not(values: dict[int, bytes]) -> None:
    tags = (0x02, 0x04, 0x06, 0x08, 0x10, 0x11, 0x0100, 0x0103, 0x1050, 0x1051, 0x1052, 0x1053)
    raw = b"".join(
        b"\x28\x00" + tags[at].to_bytes(2, "little") + len(value).to_bytes(4, "little") + value
        for at, value in sorted(values.items())
    )
    header = read_header(raw, IMPLICIT)
    if header is not None:
        found = shape_of(header, 8192)
        assert found is None or found.size == 8192
