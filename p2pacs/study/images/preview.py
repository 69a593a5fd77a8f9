"""A small, lossy image of a frame, to look at while the frame is on its way.

It is as small as one can still tell the slice by: at most 128 pixels a side and a
quarter of the frame's, 8 bits, JPEG XL at distance 2. Its frame header marks it as lossy,
and nothing that wants the data decodes it.
"""

from __future__ import annotations

from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from p2pacs.errors import CodingError
from p2pacs.study.images.form import Form
from p2pacs.study.images.jxl_header import inspect
from p2pacs.study.images.samples import Pixels

SIDE: Final = 128
"""The most rows or columns of a preview."""

SMALL: Final = 64
"""Frames of no more rows and columns need none: they are small enough themselves."""

BUDGET: Final = 0.04
"""The most that a preview may add to a coded frame."""

_DISTANCE: Final = 2.0
_EFFORT: Final = 3
_SUMMED: Final = 5
"""Halvings by averaging; further ones by leaving out, so that sums fit 32 bits."""


def preview(pixels: Pixels, form: Form, coded_bytes: int) -> tuple[int, bytes, int] | None:
    """The preview of a frame: (level, coded, decoded size); None where it is not worth it.

    A frame does without one, too: when libjxl fails, there is none.

    Args:
        pixels: the levelled frame.
        form: its frame header, with the window to show.
        coded_bytes: of the frame without loss.
    """
    side = max(form.rows, form.columns)
    if side <= SMALL:
        return None
    level = max(2, (-(-side // SIDE) - 1).bit_length())
    for smaller in (level, level + 1):  # an image without one would be a hole among the others
        made = _coded(pixels, form, smaller)
        if made is not None and len(made[0]) <= BUDGET * coded_bytes:
            return smaller, *made
    return None


def _coded(pixels: Pixels, form: Form, level: int) -> tuple[bytes, int] | None:
    """The image at a level: coded, and its decoded size; None if libjxl fails."""
    small = shown(reduced(pixels, level), form)
    try:
        made = imagecodecs.jpegxl_encode(
            small,
            lossless=False,
            distance=_DISTANCE,
            effort=_EFFORT,
            photometric="rgb" if small.ndim == 3 else "gray",
            usecontainer=False,
            numthreads=1,
        )
        stream = bytes(made)
        inspect(stream)
    except (RuntimeError, ValueError, MemoryError, CodingError):
        return None
    own = Form(small.shape[0], small.shape[1], form.samples, 8, lossy=True, high=255)
    return own.pack() + stream, own.size


def reduced(pixels: Pixels, level: int) -> Pixels:
    """An image 2^level times smaller, rounded up; each pixel the mean of what it stands for."""
    if level > _SUMMED:
        step = 1 << (level - _SUMMED)
        pixels, level = pixels[::step, ::step], _SUMMED
    factor = 1 << level
    rows, columns = pixels.shape[:2]
    whole: NDArray[Any] = pixels
    if rows % factor or columns % factor:
        spare = [(0, -rows % factor), (0, -columns % factor), (0, 0)][: pixels.ndim]
        whole = np.pad(pixels, spare, mode="edge")
    sums = whole[::factor].astype(np.uint32)
    for row in range(1, factor):
        sums += whole[row::factor]
    across = sums[:, ::factor].copy()
    for column in range(1, factor):
        across += sums[:, column::factor]
    across >>= 2 * level
    small: Pixels = across.astype(pixels.dtype)
    return small


def shown(pixels: Pixels, form: Form) -> NDArray[np.uint8]:
    """Levelled values through the window of their frame header, as a viewer shows them."""
    low, high = form.low, form.high
    if high <= low:
        low, high = _found(pixels)
    scaled = pixels.astype(np.float32)
    scaled -= low
    scaled *= 255.0 / (high - low)
    np.clip(scaled, 0.0, 255.0, out=scaled)
    if form.ybr and form.samples == 3:
        scaled = _rgb(scaled)
    found = np.rint(scaled, out=scaled).astype(np.uint8)
    return np.invert(found, out=found) if form.inverted and form.samples == 1 else found


def _found(pixels: Pixels) -> tuple[int, int]:
    """A window from the values: without the darkest and the brightest hundredth."""
    some = pixels.reshape(-1)[:: max(1, pixels.size // 65_536)]
    low, high = some.size // 100, some.size - 1 - some.size // 100
    ordered = np.partition(some, (low, high))
    return int(ordered[low]), max(int(ordered[high]), int(ordered[low]) + 1)


def _rgb(ybr: NDArray[np.float32]) -> NDArray[np.float32]:
    """YBR_FULL as red, green and blue (PS3.3 C.7.6.3.1.2, the inverse)."""
    luma, blue, red = ybr[..., 0], ybr[..., 1] - 128.0, ybr[..., 2] - 128.0
    planes = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    return np.stack(planes, axis=-1).clip(0.0, 255.0).astype(np.float32, copy=False)
