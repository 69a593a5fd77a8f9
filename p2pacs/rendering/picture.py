"""A native frame as a picture; the only importer of numpy and Pillow in this room."""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from p2pacs.errors import BrokenInstanceError, NotAcceptableError
from p2pacs.limits import PICTURE_SIDE, RENDERED_SAMPLES
from p2pacs.rendering.description import ImageDescription, LookupTable
from p2pacs.rendering.options import JPEG, RenderedViewport, RenderOptions, VoiFunction, VoiWindow

Values = NDArray[Any]
Greys = NDArray[np.uint8]

_TABLED_BITS: Final = 16
"""Samples of so many bits go through a table of all their values: it takes a byte a pixel."""

_SUBSAMPLED: Final = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})
_COLOURS: Final = frozenset({"RGB", "YBR_FULL", "YBR_RCT", "YBR_ICT"}) | _SUBSAMPLED


def draw_native(frame: bytes, image: ImageDescription, options: RenderOptions) -> bytes:
    """A coded picture.

    Args:
        frame: native, little endian.
        image: what it shows.
        options: what the picture is to be like.

    Raises:
        BrokenInstanceError: the frame is not as its header says.
        NotAcceptableError: it is of a kind that is not drawn here.
    """
    if image.rows * image.columns * image.samples > RENDERED_SAMPLES:
        raise NotAcceptableError("the image is too large to be drawn here: retrieve its frames")
    if image.samples == 1:
        pixels = _colours(frame, image) if image.palette else _greys(frame, image, options.window)
    elif image.samples == 3 and image.photometric in _COLOURS and image.allocated in (8, 16):
        pixels = _rgb(frame, image)
    else:
        raise NotAcceptableError("images of this kind are not drawn here: retrieve its frames")
    picture = _placed(Image.fromarray(pixels), options.viewport)
    out = io.BytesIO()
    if options.media_type == JPEG:
        picture.save(out, "JPEG", quality=options.quality)
    else:
        picture.save(out, "PNG", compress_level=4)
    return out.getvalue()


def planes(frame: bytes, image: ImageDescription) -> bytes:
    """A frame with its samples together as one plane after the other (Planar Configuration 1)."""
    together = _samples(frame, image.rows * image.columns * image.samples, image.allocated // 8)
    apart: Values = np.ascontiguousarray(together.reshape(-1, image.samples).T)
    return apart.tobytes()


# ---------------------------------------------------------------- values


def _stored(frame: bytes, image: ImageDescription) -> Values:
    """The stored values, without what the bits beside them hold; (rows, columns)."""
    count = image.rows * image.columns
    if image.allocated == 1:
        bits = np.unpackbits(_samples(frame, -(-count // 8), 1), bitorder="little")
        return bits[:count].reshape(image.rows, image.columns)
    if image.allocated not in (8, 16, 32):
        raise NotAcceptableError("samples of such a width are not drawn here: retrieve the frames")
    raw = _samples(frame, count, image.allocated // 8)
    values = raw >> (image.high + 1 - image.stored) if image.high + 1 > image.stored else raw
    if image.stored < image.allocated:
        values = values & ((1 << image.stored) - 1)
    return values.reshape(image.rows, image.columns)


def _samples(frame: bytes, count: int, width: int) -> Values:
    if len(frame) < count * width:
        raise BrokenInstanceError("a frame is shorter than its rows and columns")
    return np.frombuffer(frame, f"<u{width}", count)


def _signed(values: Values, image: ImageDescription) -> NDArray[np.int64]:
    wide = values.astype(np.int64)
    if image.signed:
        wide -= (wide >> (image.stored - 1) & 1) << image.stored
    return wide


def _greys(frame: bytes, image: ImageDescription, window: VoiWindow | None) -> Greys:
    stored = _stored(frame, image)
    if image.allocated == 1:
        shown = stored * np.uint8(255)
        return ~shown if image.inverted else shown
    if image.stored <= _TABLED_BITS:
        every = np.arange(1 << image.stored, dtype=np.uint32)
        used = np.bincount(stored.reshape(-1), minlength=len(every)) > 0
        greys: Greys = _shown(_signed(every, image), used, image, window)[stored]
        return greys
    values = _signed(stored, image)
    return _shown(values, np.ones(values.shape, bool), image, window)


def _shown(
    stored: NDArray[np.int64],
    used: NDArray[np.bool_],
    image: ImageDescription,
    window: VoiWindow | None,
) -> Greys:
    """The grey of each stored value; ``used`` are those that the frame has."""
    if image.padding is not None:
        used = used & ((stored < image.padding[0]) | (stored > image.padding[1]))
    if image.modality is not None:
        values: Values = _looked_up(stored, image.modality).astype(np.float64)
    else:
        values = stored * image.slope + image.intercept
    window = window or image.window
    if window is None and image.voi is not None:
        found = _looked_up(np.rint(values).astype(np.int64), image.voi)
        scaled: Values = found * (255.0 / ((1 << image.voi.bits) - 1))
    else:
        scaled = 255.0 * _windowed(values, window or _range(values[used], image))
    greys: Greys = np.rint(np.clip(scaled, 0.0, 255.0)).astype(np.uint8)
    return np.invert(greys) if image.inverted else greys


def _range(values: Values, image: ImageDescription) -> VoiWindow:
    """What shows all values: bytes as they are, else from the least to the greatest."""
    if image.stored <= 8 and (image.slope, image.intercept) == (1.0, 0.0) and not image.signed:
        low, high = 0.0, float((1 << image.stored) - 1)
    elif values.size:
        low, high = float(values.min()), float(values.max())
    else:
        low, high = 0.0, 1.0
    return VoiWindow((low + high) / 2, max(high - low, 1e-9), VoiFunction.LINEAR_EXACT)


def _windowed(values: Values, window: VoiWindow) -> Values:
    """From 0 to 1 (PS3.3 C.11.2.1.2.1, C.11.2.1.3)."""
    if window.function is VoiFunction.SIGMOID:
        exponent = np.clip(-4.0 * (values - window.centre) / window.width, -700.0, 700.0)
        return 1.0 / (1.0 + np.exp(exponent))
    if window.function is VoiFunction.LINEAR_EXACT:
        return (values - window.centre) / window.width + 0.5
    if window.width <= 1.0:
        return (values > window.centre - 0.5).astype(np.float64)
    return (values - (window.centre - 0.5)) / (window.width - 1.0) + 0.5


def _looked_up(values: NDArray[np.int64], table: LookupTable) -> NDArray[np.int64]:
    entries = np.array(table.entries, np.int64)
    found: NDArray[np.int64] = entries[np.clip(values - table.first, 0, len(entries) - 1)]
    return found


# ---------------------------------------------------------------- colours


def _colours(frame: bytes, image: ImageDescription) -> Greys:
    values = _signed(_stored(frame, image), image)
    assert image.palette is not None  # noqa: S101 - who calls has looked
    planes = [
        _looked_up(values, table) >> max(0, _significant(table) - 8) for table in image.palette
    ]
    return np.stack(planes, axis=-1).astype(np.uint8)


def _significant(table: LookupTable) -> int:
    """Tables that say 16 bits may hold 8 all the same."""
    return table.bits if max(table.entries) > 255 else 8


def _rgb(frame: bytes, image: ImageDescription) -> Greys:
    if image.photometric in _SUBSAMPLED:
        return _from_ybr(_together(frame, image))
    raw = _samples(frame, image.rows * image.columns * 3, image.allocated // 8)
    if image.planar:
        pixels = raw.reshape(3, image.rows, image.columns).transpose(1, 2, 0)
    else:
        pixels = raw.reshape(image.rows, image.columns, 3)
    shift = image.stored - 8
    shifted = pixels >> shift if shift > 0 else pixels
    eight: Greys = np.ascontiguousarray(shifted.astype(np.uint8))
    return _from_ybr(eight) if image.photometric == "YBR_FULL" else eight


def _together(frame: bytes, image: ImageDescription) -> Greys:
    """Y, Y, Cb, Cr of two pixels each (PS3.3 C.7.6.3.1.2) as three samples a pixel."""
    count = image.rows * image.columns
    if image.allocated != 8 or count % 2:
        raise BrokenInstanceError("a frame has half a pair of pixels")
    pairs = _samples(frame, 2 * count, 1).reshape(-1, 4)
    pixels = np.empty((count // 2, 2, 3), np.uint8)
    pixels[:, :, 0] = pairs[:, :2]
    pixels[:, :, 1] = pairs[:, 2:3]
    pixels[:, :, 2] = pairs[:, 3:]
    return pixels.reshape(image.rows, image.columns, 3)


def _from_ybr(pixels: Greys) -> Greys:
    ybr = pixels.astype(np.float32)
    luma, blue, red = ybr[..., 0], ybr[..., 1] - 128.0, ybr[..., 2] - 128.0
    planes = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    found: Greys = np.rint(np.stack(planes, axis=-1).clip(0.0, 255.0)).astype(np.uint8)
    return found


# ---------------------------------------------------------------- the viewport


def _placed(picture: Image.Image, viewport: RenderedViewport | None) -> Image.Image:
    """The part that is shown, as large as fits."""
    if viewport is None:
        if max(picture.size) <= PICTURE_SIDE:
            return picture
        viewport = RenderedViewport(PICTURE_SIDE, PICTURE_SIDE)
    wide, high = viewport.region_width, viewport.region_height
    left, top = min(viewport.left, picture.width - 1), min(viewport.top, picture.height - 1)
    right = picture.width if wide is None else min(left + abs(wide), picture.width)
    bottom = picture.height if high is None else min(top + abs(high), picture.height)
    scale = min(viewport.width / (right - left), viewport.height / (bottom - top))
    size = tuple(max(1, round(side * scale)) for side in (right - left, bottom - top))
    resample = Image.Resampling.BILINEAR if scale > 1 else Image.Resampling.BOX
    placed = picture.resize((size[0], size[1]), resample, box=(left, top, right, bottom))
    if wide is not None and wide < 0:
        placed = placed.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if high is not None and high < 0:
        placed = placed.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return placed
