"""Codestreams put together bit by bit: what passes, and each thing that does not."""

from __future__ import annotations

import contextlib
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.errors import CodingError
from p2pacs.study.images.jxl_header import JxlInfo, inspect

Fields = dict[str, list[tuple[int, int]]]
"""Name → (value, bits) as they follow each other, least significant bit first."""


def small(number: int, count: int) -> list[tuple[int, int]]:
    return [(number, count)]


def fields() -> Fields:
    """Of a grey, lossless image of 100 columns and 80 rows."""
    return {
        "size": [(0, 1), (0, 2), (80 - 1, 9), (0, 3), (0, 2), (100 - 1, 9)],
        "default metadata": small(0, 1),
        "extra fields": small(0, 1),
        "depth": [(0, 1), (2, 2)],
        "short buffers": small(1, 1),
        "extra channels": small(0, 2),
        "xyb": small(0, 1),
        "colour": [(0, 1), (0, 1), (1, 2)],
        "white": small(1, 2),
        "transfer": [(0, 1), (2, 2), (6, 4)],
        "intent": small(1, 2),
        "extensions": small(0, 2),
        "transforms": small(1, 1),
        "align": [],
        "default frame": small(0, 1),
        "type": small(0, 2),
        "modular": small(1, 1),
        "flags": small(0, 2),
        "ycbcr": small(0, 1),
        "upsampling": small(0, 2),
        "groups": small(1, 2),
        "passes": small(0, 2),
        "crop": small(0, 1),
        "blending": small(0, 2),
        "last": small(1, 1),
        "name": small(0, 2),
        "filters": [(0, 1), (0, 1), (0, 2), (0, 2)],
        "frame extensions": small(0, 2),
        "permuted": small(0, 1),
        "align again": [],
        "toc": [(0, 2), (50, 10)],
        "and again": [],
    }


def stream(payload: int = 50, **changes: list[tuple[int, int]]) -> bytes:
    """The codestream of these fields, some of them changed (spaces are underscores here)."""
    made: Fields = {**fields(), **{name.replace("_", " "): one for name, one in changes.items()}}
    value, at = 0x0AFF, 16
    for name, parts in made.items():
        if not parts and name.startswith(("align", "and")):
            at += -at % 8
        for number, count in parts:
            assert number < 1 << count
            value |= number << at
            at += count
    return value.to_bytes(-(-at // 8), "little") + bytes(payload)


def test_what_our_encoder_writes_passes() -> None:
    assert inspect(stream()) == JxlInfo(80, 100, 1, 12, lossy=False)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"size": [(1, 1), (9, 5), (0, 3), (3, 5)]}, (80, 32)),
        ({"size": [(1, 1), (9, 5), (1, 3)]}, (80, 80)),
        ({"size": [(0, 1), (0, 2), (80 - 1, 9), (2, 3)]}, (80, 96)),
        ({"size": [(0, 1), (0, 2), (80 - 1, 9), (5, 3)]}, (80, 142)),
    ],
)
def test_sizes_in_all_their_forms(changes: Any, expected: tuple[int, int]) -> None:
    found = inspect(stream(**changes))
    assert (found.rows, found.columns) == expected


def test_many_groups_have_many_entries() -> None:
    size = [(0, 1), (1, 2), (600 - 1, 13), (0, 3), (1, 2), (300 - 1, 13)]
    entries = [(0, 2), (7, 10)] * (2 + 1 + 3 * 2)
    found = inspect(stream(63, size=size, toc=entries))
    assert (found.rows, found.columns) == (600, 300)


@pytest.mark.parametrize(
    "changes",
    [
        {"extra_fields": [(1, 1), (0, 6)]},  # an orientation of its own
        {"depth": [(1, 1), (0, 2), (7, 4)]},  # floating point
        {"depth": [(0, 1), (3, 2), (16, 6)]},  # 17 bits
        {"extra_channels": [(1, 2), (1, 1)]},
        {"extra_channels": [(3, 2), (4095, 12)]},
        {"colour": [(0, 1), (1, 1)]},  # a profile
        {"colour": [(0, 1), (0, 1), (2, 2), (0, 4)]},  # XYB
        {"white": [(2, 2), (0, 4)]},
        {"transfer": [(1, 1), (9, 24)]},
        {"extensions": [(1, 2), (0, 4)]},
        {"transforms": [(0, 1), (0, 3)]},
        {"default_frame": [(1, 1)]},  # cosine transform, which wants XYB
        {"type": [(1, 2)]},
        {"type": [(2, 2)]},
        {"type": [(3, 2)]},
        {"flags": [(1, 2), (1, 4)]},  # patches
        {"flags": [(1, 2), (15, 4)]},  # splines
        {"flags": [(3, 2), (0, 12), (0, 1)]},
        {"ycbcr": [(1, 1), (0, 6)]},
        {"upsampling": [(3, 2)]},
        {"passes": [(1, 2), (0, 2)]},
        {"crop": [(1, 1)]},
        {"blending": [(1, 2)]},
        {"last": [(0, 1)]},
        {"name": [(1, 2), (3, 4)]},
        {"filters": [(0, 1), (1, 1), (1, 1)]},
        {"filters": [(0, 1), (0, 1), (1, 2), (1, 1)]},
        {"filters": [(0, 1), (0, 1), (0, 2), (1, 2), (0, 4)]},
        {"frame_extensions": [(2, 2), (0, 8)]},
        {"permuted": [(1, 1)]},
        {"payload": 49},
        {"payload": 51},
    ],
)
def test_what_is_not_the_image_alone_is_refused(changes: Any) -> None:
    with pytest.raises(CodingError):
        inspect(stream(**changes))


def test_a_size_is_what_it_says_however_large() -> None:
    size = [(0, 1), (3, 2), (100_000 - 1, 30), (0, 3), (3, 2), (100_000 - 1, 30)]
    with pytest.raises(CodingError, match="truncated"):
        inspect(stream(size=size))


def test_smoothing_that_is_skipped_and_filters_of_the_norm_pass() -> None:
    flags = [(2, 2), (128 - 17, 8)]
    filters = [(0, 1), (1, 1), (0, 1), (1, 2), (0, 2), (0, 16), (0, 2)]
    assert not inspect(stream(flags=flags)).lossy
    assert not inspect(stream(filters=filters)).lossy
    assert not inspect(stream(filters=[(1, 1)])).lossy


def test_colours_in_all_their_forms() -> None:
    assert inspect(stream(colour=[(1, 1)], white=[], transfer=[], intent=[])).samples == 3
    rgb = [(0, 1), (0, 1), (0, 2)]
    assert inspect(stream(colour=rgb, white=[(1, 2), (1, 2)])).samples == 3


def test_boxes_are_no_codestream() -> None:
    pixels = np.zeros((9, 9), np.uint8)
    boxes = imagecodecs.jpegxl_encode(pixels, lossless=True, effort=3, usecontainer=True)
    for raw in (bytes(boxes), b"", b"\xff", b"\xff\x0a", b"\xff\x4f\xff\x51"):
        with pytest.raises(CodingError):
            inspect(raw)


@given(st.binary(max_size=80))
def test_anything_is_inspected_or_refused(raw: bytes) -> None:
    for whole in (raw, b"\xff\x0a" + raw):
        with contextlib.suppress(CodingError):
            inspect(whole)


@pytest.mark.parametrize("effort", [2, 3, 4, 5])
@pytest.mark.parametrize("lossy", [False, True])
@pytest.mark.parametrize("shape", [(5, 7), (300, 200), (1, 1), (40, 30, 3), (257, 513, 3)])
def test_what_libjxl_writes_is_what_is_read(
    shape: tuple[int, ...], lossy: bool, effort: int
) -> None:
    pixels = np.arange(np.prod(shape), dtype=np.uint32).astype(np.uint8).reshape(shape)
    coded = imagecodecs.jpegxl_encode(
        pixels,
        lossless=not lossy,
        distance=2.0 if lossy else None,
        effort=effort,
        numthreads=1,
        photometric="rgb" if len(shape) == 3 else "gray",
        usecontainer=False,
    )
    found = inspect(bytes(coded))
    assert found == JxlInfo(shape[0], shape[1], 3 if len(shape) == 3 else 1, 8, lossy)
