import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import CodingError
from p2pacs.study.images import Shape
from p2pacs.study.images.samples import levelled, restored
from tests.p2pacs.study.images.made import CONTENTS, frame, shapes, stored, values


@given(shapes(), st.sampled_from(CONTENTS), st.integers(0, 99))
def test_levelled_values_come_back_as_the_same_bytes(shape: Shape, content: str, seed: int) -> None:
    plain = frame(shape, content, seed)
    pixels, form = levelled(plain, shape)
    assert pixels.shape == form.shape
    assert pixels.min() == 0
    assert restored(pixels, form) == plain


def test_pixels_are_the_values_whatever_the_order_of_bytes_and_planes() -> None:
    found = values((3, 5, 3), 16, "noise", 1)
    found[0, 0, 0] = 0
    for planar in (False, True):
        for big_endian in (False, True):
            shape = Shape(3, 5, 3, 16, planar=planar, big_endian=big_endian)
            pixels, _ = levelled(stored(found, shape), shape)
            assert (pixels == found).all()


def test_values_around_zero_are_narrow_when_they_are_signed() -> None:
    shape = Shape(1, 4, 1, 16, signed=True)
    pixels, form = levelled(np.array([-100, -1, 0, 100], "<i2").tobytes(), shape)
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == [[0, 99, 100, 200]]
    assert form.offset == 65536 - 100


def test_the_window_reaches_beyond_the_values() -> None:
    shape = Shape(1, 2, 1, 16, signed=True, window=(40.0, 401.0))
    _, form = levelled(np.array([-50, 100], "<i2").tobytes(), shape)
    assert (form.low, form.high) == (-160 - -50, 240 - -50)


def test_windows_out_of_all_reason_are_bounded() -> None:
    for window in ((1e300, 1e300), (-1e300, 1.0), (0.0, 1e308)):
        _, form = levelled(bytes(8), Shape(1, 4, 1, 16, window=window))
        assert len(form.pack()) == 20


def test_bytes_and_colours_are_shown_as_they_are() -> None:
    _, form = levelled(bytes([9, 20, 30]), Shape(1, 3, 1, 8))
    assert (form.low, form.high) == (-9, 246)
    _, form = levelled(bytes([9, 20, 30]), Shape(1, 1, 3, 8))
    assert (form.low, form.high) == (-9, 246)
    _, form = levelled(np.array([5, 9, 1005], "<u2").tobytes(), Shape(1, 1, 3, 16))
    assert (form.low, form.high) == (-5, 1000)


def test_other_pixels_than_were_levelled_are_refused() -> None:
    shape = Shape(8, 8, 1, 16)
    pixels, form = levelled(frame(shape), shape)
    with pytest.raises(CodingError):
        restored(pixels, evolve(form, offset=form.offset ^ 1))
