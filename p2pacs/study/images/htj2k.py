"""Frames as HTJ2K codestreams (ISO/IEC 15444-15), by OpenJPH, cut by resolution.

The encoder writes one tile-part for each resolution, so a beginning of the codestream
that ends with a tile-part is a smaller image, exactly the one that the whole codestream
gives at that resolution.
"""

from __future__ import annotations

from typing import Final

import imagecodecs
import numpy as np

from p2pacs.errors import CodingError
from p2pacs.study.images.form import Form
from p2pacs.study.images.j2k_header import J2kInfo, inspect
from p2pacs.study.images.samples import Pixels

_HALVINGS: Final = 5
"""More gain nothing; one that has nothing to halve costs 15 bytes."""

_COARSEST: Final = 64
"""Rows or columns of the smallest image that is worth a part of its own."""


def encode(pixels: Pixels) -> tuple[tuple[int, bytes], ...]:
    """The codestream of an image, in parts: (level that it completes, bytes), coarsest first.

    Raises:
        CodingError: OpenJPH failed, or wrote what `inspect` refuses.
    """
    try:
        coded = imagecodecs.htj2k_encode(
            pixels,
            resolutions=_HALVINGS,
            reversible=True,
            rgb=True if pixels.ndim == 3 else None,
            tlm=False,
            tilepart=imagecodecs.HTJ2K.TILEPART.RESOLUTIONS,
        )
    except (RuntimeError, ValueError, MemoryError) as error:
        raise CodingError("an image could not be coded as HTJ2K") from error
    stream = bytes(coded)
    return _parts(stream, inspect(stream))


def _parts(stream: bytes, info: J2kInfo) -> tuple[tuple[int, bytes], ...]:
    if not info.whole:
        raise CodingError("an image coded as HTJ2K has an end where it should not be")
    parts: list[tuple[int, bytes]] = []
    start = 0
    for level in range(coarsest(info.rows, info.columns), 0, -1):
        end = info.ends[info.levels - level]
        parts.append((level, stream[start:end]))
        start = end
    return (*parts, (0, stream[start:]))


def coarsest(rows: int, columns: int) -> int:
    """The level of the first part of an image of this size: at 64 or fewer rows and columns."""
    halvings = (-(-max(rows, columns) // _COARSEST) - 1).bit_length()
    return min(halvings, _HALVINGS)


def decode(stream: bytes, form: Form) -> Pixels:
    """The image of a whole codestream.

    Raises:
        CodingError: not exactly the image that the frame header describes.
    """
    info = _inspect(stream, form)
    if not info.whole:
        raise CodingError("an HTJ2K codestream is truncated, or something follows it")
    return _decode(stream, info, 0)


def decode_beginning(stream: bytes, form: Form) -> Pixels:
    """The largest image that a codestream gives which may break off anywhere.

    Raises:
        CodingError: not of the image that the frame header describes, or not even its coarsest
            resolution is here.
    """
    info = _inspect(stream, form)
    if not info.ends:
        raise CodingError("of an HTJ2K codestream not even the coarsest resolution is here")
    return _decode(stream[: info.ends[-1]], info, info.levels + 1 - len(info.ends))


def _inspect(stream: bytes, form: Form) -> J2kInfo:
    info = inspect(stream)
    if (info.rows, info.columns, info.samples) != (form.rows, form.columns, form.samples):
        raise CodingError("an HTJ2K codestream has another size than its frame header says")
    if info.bits > form.bits:
        raise CodingError("an HTJ2K codestream is deeper than its frame")
    return info


def _decode(stream: bytes, info: J2kInfo, level: int) -> Pixels:
    plane = (-(-info.rows >> level), -(-info.columns >> level))
    shape = plane if info.samples == 1 else (*plane, info.samples)
    # imagecodecs drops some of OpenJPH's errors and returns what was decoded until then:
    # so that the rest is no memory of this process, it is given its memory here.
    pixels = np.zeros(shape, np.uint8 if info.bits == 8 else np.uint16)
    try:
        found = imagecodecs.htj2k_decode(stream, skipres=level, out=pixels)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise CodingError("an HTJ2K codestream is damaged") from error
    if found.shape != shape or found.dtype != pixels.dtype:
        raise CodingError("an HTJ2K codestream decodes to another image than it declares")
    return found
