"""The coded form of a compressed frame up to its image, and how large that image is: read before
memory is taken for it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from p2pacs.errors import CodingError
from p2pacs.study.compressed import JPEG_IN_XL
from p2pacs.study.images.form import read_form
from p2pacs.study.images.jxl_header import HEADER_BYTES, image_size

RECIPE_BYTES: Final = 64 * 1024
"""A frame with a longer recipe is left as it is: they have some 100 bytes, and a comment."""

_HEAD: Final = struct.Struct(">BI")

_SIGNATURE: Final = b"\0\0\0\x0cJXL \r\n\x87\n"
_BOX: Final = struct.Struct(">I4s")
_BOXES: Final = 64
"""libjxl writes five."""


def image_bytes(codec: int, coded: bytes) -> int:
    """Bytes of the native image that a compressed frame is decoded by; 0 of one that is broken.

    Args:
        codec: of `p2pacs.study.compressed`.
        coded: the coded frame.
    """
    try:
        if codec == JPEG_IN_XL:
            return reversible_bytes(coded)
        return read_form(split_recipe(coded)[1]).size
    except CodingError:
        return 0  # decoding it says what is wrong


def with_recipe(flags: int, recipe: bytes, image: bytes) -> bytes:
    """The coded form of a frame that has a recipe."""
    return _HEAD.pack(flags, len(recipe)) + recipe + image


def split_recipe(coded: bytes) -> tuple[bytes, bytes, int]:
    """Recipe, coded image and flags of a frame that has a recipe.

    Raises:
        CodingError: it is truncated, or its recipe too long.
    """
    if len(coded) < _HEAD.size:
        raise CodingError("a coded frame is shorter than its header")
    flags, length = _HEAD.unpack_from(coded)
    if length > min(RECIPE_BYTES, len(coded) - _HEAD.size):
        raise CodingError("a coded frame is shorter than its recipe")
    at = _HEAD.size + length
    return coded[_HEAD.size : at], coded[at:], flags


def reversible_bytes(coded: bytes) -> int:
    """Bytes of the image, three samples a pixel, before it is decoded.

    Raises:
        CodingError: it is none.
    """
    beginning = b""
    for kind, content in _boxes(coded):
        if kind == b"jxlc":
            beginning += content
        elif kind == b"jxlp":
            beginning += content[4:]
        if len(beginning) >= HEADER_BYTES:
            break
    rows, columns = image_size(beginning)
    return rows * columns * 3


def _boxes(coded: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and beginning of each box."""
    if not coded.startswith(_SIGNATURE):
        raise CodingError("not a JPEG in JPEG XL")
    at = len(_SIGNATURE)
    for _ in range(_BOXES):
        if at + _BOX.size > len(coded):
            return
        length, kind = _BOX.unpack_from(coded, at)
        if length == 1:
            raise CodingError("a JPEG in JPEG XL has a box longer than a frame")
        end = at + length if length else len(coded)
        if end < at + _BOX.size or end > len(coded):
            raise CodingError("a JPEG in JPEG XL breaks off")
        yield kind, coded[at + _BOX.size : min(end, at + _BOX.size + HEADER_BYTES)]
        at = end
