"""Where the elements of a header lie, without reading them. Pure.

Only of a little endian data set that is as PS3.5 says; all others are left to pydicom, which knows
what is wrong with real ones.
"""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Final

from attrs import frozen

from p2pacs.dataset.header import (
    BIG_ENDIAN,
    DEFLATED,
    IMPLICIT,
    PIXEL_TAGS,
    UNDEFINED_LENGTH,
    end_of_sequence,
)

_HEAD: Final = struct.Struct("<HH2sH").unpack_from
"""Group, element, VR, and the length where it has two bytes (PS3.5 7.1.2)."""

_LENGTH: Final = struct.Struct("<L").unpack_from
_ITEM_HEAD: Final = struct.Struct("<HHL").unpack_from
_ITEM: Final = 0xFFFE
_BEGINS: Final = 0xE000
_ENDS: Final = frozenset({0xE00D, 0xE0DD})
"""Delimiters of an item and of a sequence of undefined length (PS3.5 7.5)."""

_SHORT_ONES: Final = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)
"""VRs whose length has two bytes, ..."""

_LONG_ONES: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""... and four, behind two that are reserved."""

_HAS_LONG_LENGTH: Final = dict.fromkeys(_SHORT_ONES, False) | dict.fromkeys(_LONG_ONES, True)

_DEPTH: Final = 64
"""Sequences and items within each other: deeper ones are left to pydicom."""


@frozen
class Spans:
    """The elements of the top level before the pixel data, by ascending tag."""

    tags: list[int]
    """Of each, ..."""
    bounds: list[int]
    """... and where it begins, tag and length included; at last where the last one ends."""
    pixels: int | None
    """Tag of the pixel data that follow; None where there are none."""

    def cut(self, data: bytes) -> list[bytes]:
        """The elements as they are encoded."""
        return [data[first:end] for first, end in pairwise(self.bounds)]


def find_spans(data: bytes, transfer_syntax_uid: str) -> Spans | None:
    """Where the elements lie; None unless all of it is plain.

    Args:
        data: a data set, at least up to the value of its pixel data.
        transfer_syntax_uid: what it is in.
    """
    if transfer_syntax_uid in (BIG_ENDIAN, DEFLATED):
        return None
    next_head = _implicit_head if transfer_syntax_uid in IMPLICIT else _head
    tags, bounds, last, size = list[int](), [0], -1, len(data)
    while bounds[-1] < size:
        if (head := next_head(data, bounds[-1])) is None:
            return None
        tag, vr, value, length = head
        if tag <= last:
            return None
        if tag in PIXEL_TAGS:
            return None if vr in _SHORT_ONES else Spans(tags, bounds, tag)
        end: int | None = value + length
        if length == UNDEFINED_LENGTH:
            end = _end_of_undefined(data, vr, value)
        if end is None or end > size:
            return None
        tags.append(tag)
        bounds.append(end)
        last = tag
    return Spans(tags, bounds, None)


def _implicit_head(data: bytes, at: int) -> tuple[int, bytes, int, int] | None:
    """As `_head`, in Implicit VR."""
    if at + 8 > len(data):
        return None
    group, number, vr, _ = _HEAD(data, at)
    if vr in _HAS_LONG_LENGTH:  # it may be in Explicit VR, whatever it says
        return None
    return group << 16 | number, b"", at + 8, _LENGTH(data, at + 4)[0]


def _end_of_undefined(data: bytes, vr: bytes, value: int) -> int | None:
    if not vr:
        return end_of_sequence(data, value)
    # What is in UN is in Implicit VR, whatever is around it (PS3.5 6.2.2, note 2).
    return _end_of_sequence(data, value) if vr == b"SQ" else None


def _head(data: bytes, at: int) -> tuple[int, bytes, int, int] | None:
    """Tag, VR, where the value begins, and its length, of the element that begins here."""
    if at + 8 > len(data):
        return None
    group, number, vr, length = _HEAD(data, at)
    is_long = _HAS_LONG_LENGTH.get(vr)
    if not is_long:
        return None if is_long is None else (group << 16 | number, vr, at + 8, length)
    if at + 12 > len(data):
        return None
    return group << 16 | number, vr, at + 12, _LENGTH(data, at + 8)[0]


def _end_of_sequence(data: bytes, at: int) -> int | None:
    """Where a sequence of undefined length ends in Explicit VR; None if it does not, or is not
    plain."""
    depth = 1  # sequences and items that are open: counted, as recursion has a bound
    while depth <= _DEPTH and at + 8 <= len(data):
        group, number, length = _ITEM_HEAD(data, at)
        if group == _ITEM:
            at += 8
            if number in _ENDS:
                depth -= 1
                if not depth:
                    return at
            elif number != _BEGINS:
                return None
            elif length == UNDEFINED_LENGTH:
                depth += 1
            else:
                at += length
            continue
        if (head := _head(data, at)) is None:
            return None
        _, vr, at, length = head
        if length != UNDEFINED_LENGTH:
            at += length
        elif vr == b"SQ":
            depth += 1
        else:
            return None
    return None
