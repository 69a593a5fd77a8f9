import struct

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pacs.errors import CodingError
from p2pacs.study.images import Shape
from p2pacs.study.images.form import Form
from p2pacs.study.images.jxl import TILE_COLUMNS, TILE_ROWS, bare, decode, encode, tiles
from p2pacs.study.images.samples import Pixels, levelled
from tests.p2pacs.study.images.made import CONTENTS, frame, shapes


def image(shape: Shape, content: str = "smooth", seed: int = 1) -> tuple[Pixels, Form]:
    return levelled(frame(shape, content, seed), shape)


@settings(max_examples=300)
@given(shapes(), st.sampled_from(CONTENTS), st.integers(0, 99), st.sampled_from([2, 3, 5]))
def test_every_image_comes_back(shape: Shape, content: str, seed: int, effort: int) -> None:
    pixels, form = image(shape, content, seed)
    found = decode(encode(pixels, effort), form)
    assert found.dtype == pixels.dtype
    assert (found == pixels).all()


@pytest.mark.parametrize("content", ["noise", "smooth", "extremes"])
@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 65535), (65535, 1), (2, 4099), (1025, 2049), (1300, 700)]
)
def test_long_flat_and_large_images_come_back(rows: int, columns: int, content: str) -> None:
    pixels, form = image(Shape(rows, columns, 1, 16), content)
    assert (decode(encode(pixels, 2), form) == pixels).all()


def test_effort_1_is_never_used() -> None:
    with pytest.raises(ValueError, match="effort 1"):
        encode(np.zeros((8, 8), np.uint16), 1)


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_tiles_cover_an_image_once_and_none_is_large(rows: int, columns: int) -> None:
    found = list(tiles(rows, columns))
    assert found == sorted(found)
    area = 0
    for top, bottom, left, right in found:
        assert 0 < bottom - top <= TILE_ROWS
        assert 0 < right - left <= TILE_COLUMNS
        area += (bottom - top) * (right - left)
    assert area == rows * columns
    assert found[-1][1::2] == (rows, columns)


def test_boxes_of_deep_images_are_taken_off() -> None:
    pixels, _ = image(Shape(30, 20, 1, 16), "noise")
    assert encode(pixels, 3).startswith(b"\xff\x0a")
    with pytest.raises(CodingError):
        bare(b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40))


def test_damage_and_what_follows_are_refused() -> None:
    pixels, form = image(Shape(60, 50, 1, 16))
    coded = encode(pixels, 3)
    for bad in (coded[:-1], coded + b"\0", coded[: len(coded) // 2], b"", coded[1:]):
        with pytest.raises(CodingError):
            decode(bad, form)


def test_an_image_of_another_size_depth_or_colour_is_refused() -> None:
    pixels, form = image(Shape(60, 50, 1, 16))
    coded = encode(pixels, 3)
    for other in (
        evolve(form, rows=50, columns=60),
        evolve(form, rows=59),
        evolve(form, samples=3),
        evolve(form, bits=8, offset=0),
    ):
        with pytest.raises(CodingError):
            decode(coded, other)


def test_damage_among_several_codestreams_is_refused() -> None:
    pixels, form = image(Shape(1500, 30, 1, 16), "constant")
    coded = encode(pixels, 2)
    (first,) = struct.unpack_from(">I", coded)
    huge = struct.pack(">I", 2**32 - 1) + coded[4:]
    for bad in (coded[:3], coded[: 4 + first], coded[:-1], coded + b"\0", huge, b""):
        with pytest.raises(CodingError):
            decode(bad, form)


def test_codestreams_of_different_depth_do_not_mix() -> None:
    shallow, form = image(Shape(1500, 30, 1, 16), "constant")
    deep, _ = image(Shape(1500, 30, 1, 16), "noise")
    few, many = encode(shallow, 2), encode(deep, 2)
    (first,) = struct.unpack_from(">I", few)
    (other,) = struct.unpack_from(">I", many)
    with pytest.raises(CodingError, match="depth"):
        decode(few[: 4 + first] + many[4 + other :], form)
