"""Frames as JPEG XL codestreams (ISO/IEC 18181-1), by libjxl.

A frame that is larger than a tile is cut into a grid of tiles, row by row, each with a
codestream of its own: libjxl takes some twenty times the bytes of what it codes, and so
that is bounded, too. Of one tile, the codestream is all; of several, each has its length
before it (4 bytes, big-endian).

Effort 1 is never used: libjxl 0.11's encoder for it writes beyond its memory on
incompressible images of 16 bits. Efforts 2, 3 and 5 go another way through the library;
``tests/p2pacs/study/images/test_jxl_heap.py`` holds 2 and 3 against noise of many odd shapes
under glibc's heap checks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import imagecodecs
import numpy as np

from p2pacs.errors import CodingError
from p2pacs.study.images.form import Form
from p2pacs.study.images.jxl_header import inspect
from p2pacs.study.images.samples import Pixels

TILE_ROWS: Final = 1024
TILE_COLUMNS: Final = 2048
"""Beyond 2048 libjxl writes sections out of order, which `inspect` refuses."""

_LENGTH: Final = struct.Struct(">I")
_BOX_SIGNATURE: Final = b"\0\0\0\x0cJXL \r\n\x87\n"


def encode(pixels: Pixels, effort: int) -> bytes:
    """The codestream, or codestreams, of an image.

    Args:
        pixels: (rows, columns) or (rows, columns, 3).
        effort: libjxl's, 2 or more.

    Raises:
        CodingError: libjxl failed.
    """
    depth = 8 if pixels.dtype == np.uint8 else max(9, int(pixels.max()).bit_length())
    rows, columns = pixels.shape[:2]
    streams = [
        _encode(pixels[top:bottom, left:right], effort, depth)
        for top, bottom, left, right in tiles(rows, columns)
    ]
    if len(streams) == 1:
        return streams[0]
    return b"".join(part for stream in streams for part in (_LENGTH.pack(len(stream)), stream))


def _encode(pixels: Pixels, effort: int, depth: int) -> bytes:
    if effort < 2:
        raise ValueError("effort 1 is not memory safe")
    try:
        coded = imagecodecs.jpegxl_encode(
            np.ascontiguousarray(pixels),
            lossless=True,
            effort=effort,
            bitspersample=depth,
            photometric="rgb" if pixels.ndim == 3 else "gray",
            usecontainer=False,
            numthreads=1,
        )
    except (RuntimeError, ValueError, MemoryError) as error:
        raise CodingError("an image could not be coded as JPEG XL") from error
    return bare(bytes(coded))


def decode(coded: bytes, form: Form) -> Pixels:
    """The image of the codestreams that `encode` gave; their order of samples is that of pixels.

    Every codestream is inspected before libjxl sees it.

    Raises:
        CodingError: not exactly the image that the frame header describes, without loss.
    """
    grid = list(tiles(form.rows, form.columns))
    if len(grid) == 1:
        return _decode(coded, form, form.rows, form.columns)
    found: Pixels | None = None
    at = 0
    for top, bottom, left, right in grid:
        if at + _LENGTH.size > len(coded):
            raise CodingError("a frame of several codestreams is truncated")
        (length,) = _LENGTH.unpack_from(coded, at)
        at += _LENGTH.size
        if at + length > len(coded):
            raise CodingError("a frame of several codestreams is truncated")
        tile = _decode(coded[at : at + length], form, bottom - top, right - left)
        if found is None:  # after a tile was found good, so that lies take no memory
            found = np.empty(form.shape, tile.dtype)
        if tile.dtype != found.dtype:
            raise CodingError("the codestreams of a frame differ in depth")
        found[top:bottom, left:right] = tile
        at += length
    if found is None or at != len(coded):
        raise CodingError("something follows the codestreams of a frame")
    return found


def _decode(stream: bytes, form: Form, rows: int, columns: int) -> Pixels:
    info = inspect(stream)
    if (info.rows, info.columns, info.samples) != (rows, columns, form.samples):
        raise CodingError("a JPEG XL codestream has another size than its frame header says")
    if info.lossy or info.bits > form.bits:
        raise CodingError("a JPEG XL codestream is lossy, or deeper than its frame")
    pixels = decode_stream(stream)
    if pixels.shape != (rows, columns, form.samples)[: pixels.ndim] or pixels.dtype != (
        np.uint8 if info.bits <= 8 else np.uint16
    ):
        raise CodingError("a JPEG XL codestream decodes to another image than it declares")
    return pixels


def decode_stream(stream: bytes) -> Pixels:
    """What libjxl makes of a codestream that was inspected.

    Raises:
        CodingError: it is damaged.
    """
    try:
        return imagecodecs.jpegxl_decode(stream, numthreads=1)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise CodingError("a JPEG XL codestream is damaged") from error


def tiles(rows: int, columns: int) -> Iterator[tuple[int, int, int, int]]:
    """Top, bottom, left and right of the tiles of an image, row by row, nearly equal in size."""
    for top, bottom in _cuts(rows, TILE_ROWS):
        for left, right in _cuts(columns, TILE_COLUMNS):
            yield top, bottom, left, right


def _cuts(length: int, most: int) -> Iterator[tuple[int, int]]:
    step = -(-length // -(-length // most))
    for start in range(0, length, step):
        yield start, min(start + step, length)


def bare(coded: bytes) -> bytes:
    """The codestream without the boxes that libjxl adds where samples have more than 12 bits.

    Raises:
        CodingError: boxes without one whole codestream.
    """
    if not coded.startswith(_BOX_SIGNATURE):
        return coded
    at = len(_BOX_SIGNATURE)
    while at + 8 <= len(coded):
        length, kind = struct.unpack_from(">I4s", coded, at)
        end = at + length if length else len(coded)
        if kind == b"jxlc":
            return coded[at + 8 : end]
        at = max(end, at + 8)
    raise CodingError("an image coded as JPEG XL has no codestream")
