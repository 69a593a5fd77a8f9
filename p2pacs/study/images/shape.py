"""What of a header makes a native frame codable as an image, without believing it."""

from __future__ import annotations

import math
from typing import Final

from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from p2pacs.dataset.header import Header
from p2pacs.study.images import Shape
from p2pacs.study.images.form import IMAGE_BYTES

_SAMPLES: Final = 0x00280002
_PHOTOMETRIC: Final = 0x00280004
_PLANAR: Final = 0x00280006
_ROWS: Final = 0x00280010
_COLUMNS: Final = 0x00280011
_BITS_ALLOCATED: Final = 0x00280100
BITS_STORED: Final = 0x00280101
_REPRESENTATION: Final = 0x00280103
_CENTRE: Final = 0x00281050
_WIDTH: Final = 0x00281051
_INTERCEPT: Final = 0x00281052
_SLOPE: Final = 0x00281053

_VALUE_BYTES: Final = 1024
"""A window has at most a few values of 16 bytes (DS); what is longer is not looked at."""


def shape_of(header: Header, frame_bytes: int) -> Shape | None:
    """How the samples of the frames lie that a header describes.

    Args:
        header: of the data set.
        frame_bytes: bytes of a frame, as the pixel data were cut.

    Returns:
        None where no image codec fits: bits that are not 8 or 16 a sample, samples that
        are not 1 or 3 a pixel (subsampled chrominance), or a geometry that does not agree
        with ``frame_bytes``.
    """
    shape = described(header)
    if shape.samples not in (1, 3) or shape.bits not in (8, 16) or frame_bytes > IMAGE_BYTES:
        return None
    return shape if 0 < shape.size == frame_bytes else None


def described(header: Header) -> Shape:
    """How the samples of native frames lie that a header describes, whether that can be or not."""
    samples = short(header, _SAMPLES, 1)
    bits = short(header, _BITS_ALLOCATED, 0)
    return Shape(
        rows=short(header, _ROWS, 0),
        columns=short(header, _COLUMNS, 0),
        samples=samples,
        bits=bits,
        planar=samples == 3 and short(header, _PLANAR, 0) == 1,
        big_endian=bits == 16 and not header.little_endian,
        signed=short(header, _REPRESENTATION, 0) == 1,
        window=_window(header) if samples == 1 else None,
        photometric=_text(header, _PHOTOMETRIC),
    )


def _window(header: Header) -> tuple[float, float] | None:
    """The header's first window in stored values (PS3.3 C.11.2.1.2, C.11.1.1.2)."""
    centre, width = _decimal(header, _CENTRE), _decimal(header, _WIDTH)
    if centre is None or width is None or width < 1:
        return None
    slope, intercept = _decimal(header, _SLOPE), _decimal(header, _INTERCEPT)
    slope = 1.0 if slope is None else slope
    if slope <= 0:
        return None
    found = (centre - (intercept or 0.0)) / slope, width / slope
    return found if all(math.isfinite(value) for value in found) else None


def _raw(header: Header, tag: int) -> bytes:
    # keep_deferred: else pydicom converts empty values, and raises if their VR is unknown
    element = header.elements.get_item(BaseTag(tag), keep_deferred=True)
    if not isinstance(element, RawDataElement) or not isinstance(element.value, bytes):
        return b""
    return element.value if len(element.value) <= _VALUE_BYTES else b""


def short(header: Header, tag: int, absent: int) -> int:
    """An element of one US value."""
    raw = _raw(header, tag)
    if len(raw) != 2:
        return absent
    return int.from_bytes(raw, "little" if header.little_endian else "big")


def _text(header: Header, tag: int) -> str:
    return _raw(header, tag).decode("ascii", "replace").strip(" \0")


def _decimal(header: Header, tag: int) -> float | None:
    """The first value of a DS element, where it is a number."""
    first = _text(header, tag).split("\\")[0]
    try:
        value = float(first)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
