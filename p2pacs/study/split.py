"""Where a data set is cut: header, frames, rest. Joining is concatenation, so always exact.

The cut is at the value of the pixel data. Native pixel data are cut into frames when
the header's geometry agrees with their length, compressed ones when they have a fragment
for each frame; when it does not, and for everything that cannot be read, the bytes are cut
by length alone. Nothing is ever re-encoded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Final

from attrs import frozen

from p2pacs.dataset.elements import attributes_of
from p2pacs.dataset.header import UNDEFINED_LENGTH, Header, read_header
from p2pacs.dataset.json_model import Json, number
from p2pacs.dataset.pixel_data import frame_bits
from p2pacs.study.compressed.description import is_cut
from p2pacs.study.images.form import IMAGE_BYTES

PIECE_BYTES: Final = 16 * 1024 * 1024
"""Bytes that are not a frame are cut at this length, so that no blob is large."""

FRAME_BYTES: Final = 256 * 1024 * 1024
"""A larger frame is cut by length: coding and decoding hold a whole frame in memory."""

FRAMES: Final = 65_536
"""Native pixel data with more frames are cut by length: each frame costs an index entry."""


SMALLEST_BYTES: Final = 512
"""Of a fragment in the mean, to be a frame by itself: what the index says of it would outweigh
its gain."""

_ITEM: Final = struct.Struct("<HHL")
"""Group, element and length of an item: encapsulated pixel data are little endian (PS3.5 A.4)."""
_ITEM_TAG: Final = (0xFFFE, 0xE000)
_END_TAG: Final = (0xFFFE, 0xE0DD)


class Kind(IntEnum):
    """What a blob holds (docs/formats.md)."""

    HEADER = 0
    """The data set up to the pixel data's value, or all of it where there is none."""
    FRAME = 1
    """One native frame, or a fragment that is one compressed frame."""
    ENCAPSULATED = 2
    """What is around compressed frames, or all of compressed pixel data and what follows them."""
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
    pieces = pieces_of(
        len(data), header, attributes, lambda first, end: data[first:end], transfer_syntax_uid
    )
    return Split(tuple(pieces), attributes, header)


def pieces_of(
    total: int,
    header: Header | None,
    attributes: Json,
    read: Callable[[int, int], bytes],
    transfer_syntax_uid: str,
) -> Iterator[SplitPiece]:
    """Where a data set is cut.

    Args:
        total: bytes of it.
        header: of it; None if it cannot be read.
        attributes: of the header.
        read: gives bytes of it (the first, the one after the last).
        transfer_syntax_uid: of it.
    """
    start = None if header is None else header.pixels_at
    if header is None or start is None:
        yield from _cut(Kind.HEADER, 0, total)
        return
    yield from _cut(Kind.HEADER, 0, start)
    if header.pixels_length == UNDEFINED_LENGTH:
        frames = _fragments(start, total, attributes, read) if is_cut(transfer_syntax_uid) else []
        for first, end in frames:
            yield from _cut(Kind.ENCAPSULATED, start, first)
            yield SplitPiece(Kind.FRAME, first, end)
            start = end
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


def _fragments(
    start: int, total: int, attributes: Json, read: Callable[[int, int], bytes]
) -> list[tuple[int, int]]:
    """The fragments of compressed pixel data that are a frame each; none unless each frame has one,
    of a size that is coded as an image."""
    count = number(attributes, "NumberOfFrames") or 1
    found: list[tuple[int, int]] = []
    at = start
    while at + _ITEM.size <= total:
        group, element, length = _ITEM.unpack(read(at, at + _ITEM.size))
        if (group, element) == _END_TAG:
            break
        at += _ITEM.size
        if (group, element) != _ITEM_TAG or at + length > total or len(found) > count:
            return []
        found.append((at, at + length))
        at += length
    fragments = found[1:]  # the first item is the offset table (PS3.5 A.4)
    if len(fragments) != count or count > FRAMES:
        return []
    sizes = [end - first for first, end in fragments]
    fits = min(sizes) > 0 and max(sizes) <= IMAGE_BYTES and sum(sizes) >= count * SMALLEST_BYTES
    return fragments if fits else []


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
