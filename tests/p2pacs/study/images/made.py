"""Frames made up for the tests: what they hold, and how their samples lie."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from p2pacs.study.images import Shape

CONTENTS = ("noise", "smooth", "constant", "narrow", "garbage", "extremes")


def values(size: tuple[int, int, int], bits: int, content: str, seed: int) -> Any:
    """Values over all allocated bits, (rows, columns, samples)."""
    rows, columns, samples = size
    rng = np.random.default_rng(seed)
    top = 1 << bits
    if content == "noise":
        found = rng.integers(0, top, size)
    elif content == "constant":
        found = np.full(size, rng.integers(0, top))
    elif content == "narrow":
        found = rng.integers(0, 7, size) + rng.integers(0, top - 7)
    elif content == "extremes":
        found = rng.choice(np.array([0, top // 2 - 1, top // 2, top - 1]), size)
    else:
        y, x, _ = np.mgrid[0:rows, 0:columns, 0:samples]
        found = (top // 20) * (2 + np.sin(x / 9) + np.cos(y / 7)) + rng.normal(0, 3, size)
        found = found.astype(np.int64)
        if content == "garbage":  # above the bits stored
            found = (found & (top // 16 - 1)) | (rng.integers(0, 16, size) * (top // 16))
    return found % top


def stored(found: Any, shape: Shape) -> bytes:
    """The values as the bytes of a native frame."""
    unsigned: NDArray[Any] = found.astype(f"u{shape.bits // 8}")
    if shape.planar:
        unsigned = unsigned.transpose(2, 0, 1)
    if shape.bits == 16:
        unsigned = unsigned.astype(">u2" if shape.big_endian else "<u2")
    return unsigned.tobytes()


def frame(shape: Shape, content: str = "smooth", seed: int = 1) -> bytes:
    """A frame of this shape."""
    size = (shape.rows, shape.columns, shape.samples)
    return stored(values(size, shape.bits, content, seed), shape)


@st.composite
def shapes(draw: st.DrawFn, side: int = 70) -> Shape:
    """Shapes of frames that are small, odd, flat, long."""
    samples = draw(st.sampled_from([1, 1, 3]))
    bits = draw(st.sampled_from([8, 16]))
    sides = st.one_of(st.integers(1, side), st.sampled_from([1, 2, 63, 64, 65]))
    window = st.tuples(st.floats(-1e9, 1e9), st.floats(1, 1e9))
    return Shape(
        rows=draw(sides),
        columns=draw(sides),
        samples=samples,
        bits=bits,
        planar=samples == 3 and draw(st.booleans()),
        big_endian=bits == 16 and draw(st.booleans()),
        signed=draw(st.booleans()),
        window=draw(st.none() | window),
        photometric=draw(st.sampled_from(["MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", ""])),
    )
