import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.study.images import JXL, Shape
from p2pacs.study.images.form import Form, read_form
from p2pacs.study.images.picture import picture
from p2pacs.study.images.preview import BUDGET, preview, reduced, shown
from p2pacs.study.images.samples import levelled
from tests.p2pacs.study.images.made import CONTENTS, frame, shapes

PLENTY = 1 << 30


@given(shapes(150), st.sampled_from(CONTENTS), st.integers(1, 6))
def test_reduced_is_rounded_up_and_within_the_values(
    shape: Shape, content: str, level: int
) -> None:
    pixels, _ = levelled(frame(shape, content), shape)
    found = reduced(pixels, level)
    assert found.shape[:2] == (-(-shape.rows >> level), -(-shape.columns >> level))
    assert found.dtype == pixels.dtype
    assert pixels.min() <= found.min()
    assert found.max() <= pixels.max()


def test_reduced_is_the_mean() -> None:
    pixels = np.arange(64, dtype=np.uint16).reshape(8, 8)
    expected = pixels.reshape(2, 4, 2, 4).mean(axis=(1, 3)).astype(np.uint16)
    assert (reduced(pixels, 2) == expected).all()


def test_sums_of_the_brightest_do_not_overflow() -> None:
    pixels = np.full((3000, 5), 65535, np.uint16)
    assert (reduced(pixels, 7) == 65535).all()
    assert (reduced(pixels, 5) == 65535).all()


def test_the_window_of_the_header_is_shown() -> None:
    values = np.array([-2000, -160, 40, 240, 2000], "<i2")
    shape = Shape(1, 5, 1, 16, signed=True, window=(40.5, 401.0))
    pixels, form = levelled(values.tobytes(), shape)
    assert shown(pixels, form).tolist() == [[0, 0, 128, 255, 255]]


def test_without_a_window_the_extremes_do_not_darken_the_rest() -> None:
    values = np.linspace(1000, 2000, 10_000).astype("<u2")
    values[0], values[-1] = 0, 65535
    shape = Shape(100, 100, 1, 16)
    found = shown(*levelled(values.tobytes(), shape))
    assert found.min() == 0
    assert found.max() == 255
    assert 100 < found[50, 50] < 155


def test_monochrome_1_is_inverted_and_colours_are_not() -> None:
    shape = Shape(1, 3, 1, 8, photometric="MONOCHROME1")
    assert shown(*levelled(bytes([0, 100, 255]), shape)).tolist() == [[255, 155, 0]]
    shape = Shape(1, 1, 3, 8, photometric="RGB")
    assert shown(*levelled(bytes([9, 100, 200]), shape)).tolist() == [[[9, 100, 200]]]


def test_ybr_becomes_rgb() -> None:
    shape = Shape(1, 2, 3, 8, photometric="YBR_FULL")
    red = [76, 85, 255]
    found = shown(*levelled(bytes([*red, 128, 128, 128]), shape))
    assert found[0, 0].tolist() == pytest.approx([255, 0, 0], abs=2)
    assert found[0, 1].tolist() == [128, 128, 128]


@pytest.mark.parametrize(
    ("rows", "columns", "level"),
    [(65, 30, 2), (256, 256, 2), (512, 512, 2), (513, 512, 3), (3000, 2000, 5), (1, 65535, 9)],
)
def test_a_preview_has_at_most_128_rows_and_columns(rows: int, columns: int, level: int) -> None:
    pixels, form = levelled(frame(Shape(rows, columns, 1, 16)), Shape(rows, columns, 1, 16))
    found = preview(pixels, form, PLENTY)
    assert found is not None
    assert found[0] == level
    small = read_form(found[1])
    assert (small.rows, small.columns) == (-(-rows >> level), -(-columns >> level))
    assert max(small.rows, small.columns) <= 128
    assert found[2] == small.size
    assert small.lossy


def test_dear_previews_are_smaller_and_small_frames_have_none() -> None:
    shape = Shape(64, 64, 1, 16)
    assert preview(*levelled(frame(shape), shape), PLENTY) is None
    shape = Shape(512, 512, 1, 16)
    pixels, form = levelled(frame(shape), shape)
    found = preview(pixels, form, PLENTY)
    assert found is not None
    enough = int(len(found[1]) / BUDGET) + 1
    assert preview(pixels, form, enough) == found
    smaller = preview(pixels, form, enough - 26)
    assert smaller is not None
    assert (smaller[0], smaller[2]) == (found[0] + 1, found[2] // 4)
    assert preview(pixels, form, int(len(smaller[1]) / BUDGET) - 26) is None


@pytest.mark.parametrize("made", [b"", b"\xff\x0a", RuntimeError("it failed"), MemoryError()])
def test_when_libjxl_fails_there_is_none(
    made: bytes | Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> bytes:
        if isinstance(made, bytes):
            return made
        raise made

    monkeypatch.setattr(imagecodecs, "jpegxl_encode", fail)
    shape = Shape(200, 200, 1, 16)
    assert preview(*levelled(frame(shape), shape), PLENTY) is None


@pytest.mark.parametrize("samples", [1, 3])
def test_a_preview_looks_like_the_frame(samples: int) -> None:
    shape = Shape(400, 300, samples, 8, photometric="RGB" if samples == 3 else "MONOCHROME2")
    pixels, form = levelled(frame(shape), shape)
    found = preview(pixels, form, PLENTY)
    assert found is not None
    seen = picture(JXL, found[1])
    assert (seen.rows, seen.columns, seen.samples) == (100, 75, samples)
    expected = shown(reduced(pixels, 2), form).astype(int).ravel()
    difference = np.frombuffer(seen.pixels, np.uint8).astype(int) - expected
    assert np.abs(difference).mean() < 4


def test_a_constant_frame_has_a_window() -> None:
    pixels = np.zeros((100, 100), np.uint8)
    assert shown(pixels, Form(100, 100, 1, 16)).max() == 0
