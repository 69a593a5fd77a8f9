"""Values that are too large, or too binary, for metadata: named by a path, given as bytes. Pure.

A path is a tag, or in sequences tag, item (from 1), tag, …: ``00420011``, ``54000100/1/54001010``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import BaseTag

from p2pacs.dataset.header import PIXEL_TAGS, Header
from p2pacs.dataset.unreadable import UNREADABLE
from p2pacs.errors import NotFoundError, UsageError

DEPTH: Final = 16
"""Tags in a path: sequences of real data sets are four deep or so."""

_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
_ITEM: Final = re.compile(r"[1-9][0-9]{0,5}")

_WORDS: Final = {
    "OW": 2, "US": 2, "SS": 2, "AT": 2, "OF": 4, "OL": 4, "FL": 4, "SL": 4, "UL": 4,
    "OD": 8, "OV": 8, "FD": 8, "SV": 8, "UV": 8,
}  # fmt: skip
"""Bytes whose order big endian turns round, by VR; of others none."""


def bulk_path(path: Sequence[int]) -> str:
    """The path as it stands in a URL: a tag, then items (from 1) and tags in turn."""
    return "/".join(f"{part:08X}" if at % 2 == 0 else str(part) for at, part in enumerate(path))


def parse_bulk_path(text: str) -> tuple[int, ...]:
    """The path that stands in a URL.

    Raises:
        UsageError: it is none.
    """
    parts = text.split("/", 2 * DEPTH)
    patterns = [(_TAG, 16) if at % 2 == 0 else (_ITEM, 10) for at in range(len(parts))]
    fit = all(pattern.fullmatch(part) for (pattern, _), part in zip(patterns, parts, strict=True))
    if not fit or len(parts) % 2 == 0 or len(parts) >= 2 * DEPTH:
        raise UsageError("bulk data are named by a tag, or in sequences tag/item/tag: 00420011")
    return tuple(int(part, base) for (_, base), part in zip(patterns, parts, strict=True))


def is_pixel_data(path: Sequence[int]) -> bool:
    """Whether these are the pixel data of the instance, which are given frame by frame."""
    return len(path) == 1 and path[0] in PIXEL_TAGS


def bulk_value(header: Header, path: Sequence[int]) -> bytes:
    """The bytes of a value, little endian.

    Raises:
        NotFoundError: the header has no such value, or it is a sequence.
    """
    try:
        found = _value(header.elements, path)
    except UNREADABLE as error:
        raise NotFoundError("the instance has no such bulk data that could be read") from error
    if found is None:
        raise NotFoundError("the instance has no such bulk data")
    return found


def _value(data: Dataset, path: Sequence[int]) -> bytes | None:
    for tag, item in zip(path[:-1:2], path[1::2], strict=True):
        items = data[BaseTag(tag)].value
        if not isinstance(items, Items) or item > len(items):
            return None
        data = items[item - 1]
    tag = BaseTag(path[-1])
    if tag not in data:
        return None
    # keep_deferred: else pydicom converts empty values, and raises if their VR is unknown
    element = data.get_item(tag, keep_deferred=True)
    if not isinstance(element, RawDataElement) or element.VR == "SQ":
        return None
    value = element.value or b""
    word = _WORDS.get(element.VR or "", 1)
    if not isinstance(value, bytes):
        return None
    return value if element.is_little_endian or word == 1 else turned(value, word)


def turned(data: bytes, word: int) -> bytes:
    """Words in the other order of bytes; what is left over stays."""
    out = bytearray(data)
    whole = len(data) - len(data) % word
    for place in range(word):
        out[place:whole:word] = data[word - 1 - place : whole : word]
    return bytes(out)
