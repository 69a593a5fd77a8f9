"""Where a data set is cut: header, frames, rest. Joining is concatenation, so always exact.

The cut is at the value of the pixel data. Native pixel data are cut into frames when
the header's geometry agrees with their length; when it does not, and for everything
that cannot be read, the bytes are cut by length alone. Nothing is ever re-encoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Final

from attrs import frozen

from p2pacs.dataset.elements import attributes_of
from p2pacs.dataset.header import UNDEFINED_LENGTH, Header, read_header
from p2pacs.dataset.json_model import Json, number
from p2pacs.dataset.pixel_data import frame_bits

PIECE_BYTES: Final = 16 * 1024 * 1024
"""Bytes that are not a frame are cut at this length, so that no blob is large."""

FRAME_BYTES: Final = 256 * 1024 * 1024
"""A larger frame is cut by length: coding and decoding hold a whole frame in memory."""

FRAMES: Final = 65_536
"""Native pixel data with more frames are cut by length: each frame costs an index entry."""


class Kind(IntEnum):
    """What a blob holds (docs/formats.md)."""

    HEADER = 0
    """The data set up to the pixel data's value, or all of it where there is none."""
    FRAME = 1
    """One native frame."""
    ENCAPSULATED = 2
    """Pixel data that are already compressed, and what follows them."""
    OTHER = 3
    """What follows native pixel data, and native pixel data of no known geometry."""
    PREVIEW = 4
    """A small image of a frame, to look at; no part of the data set."""


@frozen
class SplitPiece:
    """A stretch of the data set: ``data[start:end]``."""

    kind: Kind
    start: int
    end: int


@frozen
class Split:
    """A data set's pieces in order, without gaps, and what its header says."""

    pieces: tuple[SplitPiece, ...]
    attributes: Json
    header: Header | None
    """None if nothing of it can be read."""


def split(data: bytes, transfer_syntax_uid: str) -> Split:
    """Cut the bytes of a data set; never fails, whatever they are."""
    header = read_header(data, transfer_syntax_uid)
    attributes = {} if header is None else attributes_of(header)
    return Split(tuple(pieces_of(len(data), header, attributes)), attributes, header)


def pieces_of(total: int, header: Header | None, attributes: Json) -> Iterator[SplitPiece]:
    """Where a data set of ``total`` bytes is cut that has this header."""
    start = None if header is None else header.pixels_at
    if header is None or start is None:
        yield from _cut(Kind.HEADER, 0, total)
        return
    yield from _cut(Kind.HEADER, 0, start)
    if header.pixels_length == UNDEFINED_LENGTH:
        yield from _cut(Kind.ENCAPSULATED, start, total)
        return
    end = min(start + header.pixels_length, total)
    size, count = _frames(end - start, attributes)
    for at in range(start, start + count * size, size or 1):
        yield SplitPiece(Kind.FRAME, at, at + size)
    yield from _cut(Kind.OTHER, start + count * size, total)


def _cut(kind: Kind, start: int, end: int) -> Iterator[SplitPiece]:
    for at in range(start, end, PIECE_BYTES):
        yield SplitPiece(kind, at, min(at + PIECE_BYTES, end))


def _frames(length: int, attributes: Json) -> tuple[int, int]:
    """Bytes of a native frame and number of frames; (0, 0) if the header does not agree.

    The pixel data may be longer by padding (PS3.5 7.1.1), but by less than a frame.
    """
    count = number(attributes, "NumberOfFrames") or 1
    bits = frame_bits(attributes)
    if bits <= 0 or bits % 8 or not 0 < count <= FRAMES or bits // 8 > FRAME_BYTES:
        return 0, 0
    size = bits // 8
    return (size, count) if size * count <= length < size * (count + 1) else (0, 0)
