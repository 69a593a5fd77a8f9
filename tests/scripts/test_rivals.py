"""Opponents get the same pixels, and what they do not give back identical does not count."""

import numpy as np
import pytest

from p2pacs.study.images import Shape
from scripts import phantom
from scripts.rivals import RIVALS, CodecTally, Rival, compare, prepared, try_frame
from tests.conformance.instances import real


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("shape", [(64, 64), (30, 7), (1, 1), (16, 20, 3)])
@pytest.mark.parametrize("top", [2, 256, 4096, 65536])
def test_they_are_exact_or_kept(name: str, shape: tuple[int, ...], top: int) -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, top, shape, "u1" if top <= 256 else "u2")
    tally = CodecTally()
    try_frame(RIVALS[name], pixels, pixels.nbytes, tally)
    assert tally.plain == pixels.nbytes
    assert 0 < tally.coded <= pixels.nbytes
    assert tally.kept == (tally.coded == pixels.nbytes)


def test_what_differs_stays_plain() -> None:
    pixels = np.zeros((8, 8), "u2")
    tally = CodecTally()
    try_frame(Rival(lambda pixels: b"x", lambda coded: pixels + 1), pixels, 128, tally)
    assert (tally.coded, tally.kept) == (128, 1)


@pytest.mark.parametrize(
    ("values", "dtype", "shape"),
    [
        ([-1024, 0, 3000, 7], "<i2", Shape(2, 2, 1, 16, signed=True)),
        ([-32768, 32767, 0, 1], "<i2", Shape(2, 2, 1, 16, signed=True)),
        ([500, 501, 502, 503], ">u2", Shape(2, 2, 1, 16, big_endian=True)),
        ([200, 3, 9, 255], "u1", Shape(2, 2, 1, 8)),
    ],
)
def test_frames_are_prepared_from_zero_up(values: list[int], dtype: str, shape: Shape) -> None:
    pixels = prepared(np.array(values, dtype).tobytes(), shape)
    assert pixels.tolist() == (np.array(values) - min(values)).reshape(2, 2).tolist()
    assert pixels.dtype == ("u1" if max(values) - min(values) < 256 else "u2")


def test_planes_become_pixels() -> None:
    shape = Shape(1, 2, 3, 8, planar=True)
    assert prepared(bytes([0, 1, 10, 11, 20, 21]), shape).tolist() == [[[0, 10, 20], [1, 11, 21]]]


def test_a_series_is_compared() -> None:
    found = compare(phantom.slices(1))
    figures = {name: tally.figures() for name, tally in found.items()}
    assert set(figures) == {"zstd9", "htj2k", "jpegls"}
    assert all(one["ratio"] > 1 for one in figures.values())
    assert figures["htj2k"]["frames_kept_plain"] == 0
    assert figures["htj2k"]["pixel_ratio"] > figures["htj2k"]["ratio"]
    both = CodecTally()
    for _ in range(2):
        both.add(found["jpegls"])
    assert both.figures()["ratio"] == figures["jpegls"]["ratio"]
    assert both.size == 2 * found["jpegls"].size


def test_what_has_no_image_is_skipped() -> None:
    report = next(one for one in real() if "88.11" in one.sop_class_uid)
    found = compare([report])
    assert "skipped" in found["htj2k"].figures()
    assert found["zstd9"].figures()["ratio"] > 1
