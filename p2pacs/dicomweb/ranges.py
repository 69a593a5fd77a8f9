"""Parts of a thing by their bytes (RFC 9110 13 and 14). Pure.

Only strong entity tags are given here, and no dates: what says a date is taken for another thing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from attrs import field, frozen

from p2pacs.limits import BYTE_RANGES

OK: Final = 200
PARTIAL: Final = 206
UNSATISFIABLE: Final = 416

BYTERANGES: Final = "multipart/byteranges"

_UNIT: Final = "bytes="
_SPEC: Final = re.compile(r"([0-9]{0,20})-([0-9]{0,20})")
_TAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@frozen
class PartialAnswer:
    """What to answer: a status, header fields, and what the body is made of."""

    status: int
    headers: tuple[tuple[str, str], ...]
    """Among them Content-Length, and Content-Type where there is a body."""
    pieces: tuple[bytes | range, ...] = field(default=(), repr=False)
    """In order: bytes as they are, or so much of the thing."""


def is_same(if_none_match: Sequence[str], etag: str) -> bool:
    """Whether a client has the thing with this strong entity tag already: then it is told 304."""
    fields = ",".join(if_none_match)
    return fields.strip() == "*" or etag in _TAG.findall(fields)


def answer(
    size: int,
    content_type: str,
    etag: str,
    *,
    requested: Sequence[str],
    if_range: str = "",
    boundary: str,
) -> PartialAnswer:
    """What a client is given of a thing.

    Args:
        size: bytes of the thing.
        content_type: of the thing.
        etag: its strong entity tag.
        requested: the header fields ``Range``.
        if_range: the header field ``If-Range``; empty if there is none.
        boundary: for several ranges: a line that does not stand in the thing by chance.
    """
    always = (("Accept-Ranges", "bytes"), ("ETag", etag))
    stale = bool(if_range) and if_range.strip() != etag
    ranges = None if stale or len(requested) != 1 else _parse(requested[0], size)
    if ranges is None:
        whole = (("Content-Type", content_type), ("Content-Length", str(size)))
        return PartialAnswer(OK, (*always, *whole), (range(size),))
    if not ranges:
        said = (("Content-Range", f"bytes */{size}"), ("Content-Length", "0"))
        return PartialAnswer(UNSATISFIABLE, (*always, *said))
    if len(ranges) == 1:
        one = (
            ("Content-Type", content_type),
            ("Content-Length", str(len(ranges[0]))),
            ("Content-Range", _content_range(ranges[0], size)),
        )
        return PartialAnswer(PARTIAL, (*always, *one), (ranges[0],))
    pieces = _multipart(ranges, size, content_type, boundary)
    several = (
        ("Content-Type", f"{BYTERANGES}; boundary={boundary}"),
        ("Content-Length", str(sum(map(len, pieces)))),
    )
    return PartialAnswer(PARTIAL, (*always, *several), pieces)


def _parse(requested: str, size: int) -> list[range] | None:
    """The ranges that are asked for; None: all of it; none at all: there are no such ones.

    What is no range is passed over (RFC 9110 14.2). Two that overlap become one; more of those,
    or many, are an attack, and get nothing.
    """
    requested = requested.strip()
    if not requested.lower().startswith(_UNIT):
        return None
    texts = [text.strip() for text in requested[len(_UNIT) :].split(",", BYTE_RANGES)]
    if len(texts) > BYTE_RANGES:
        return []
    found: list[range] = []
    for text in filter(None, texts):
        spec = _SPEC.fullmatch(text)
        if spec is None or text == "-":
            return None
        first, last = spec[1], spec[2]
        if first and last and int(last) < int(first):
            return None
        start = int(first) if first else max(0, size - int(last))
        end = min(size, int(last) + 1) if first and last else size
        if start < end:
            found.append(range(start, end))
    return _apart(found) if any(texts) else None


def _apart(ranges: list[range]) -> list[range]:
    """The same without overlaps, in the order of asking; none where more than two overlap."""
    ordered = sorted(ranges, key=lambda one: one.start)
    overlaps = sum(after.start < before.stop for before, after in pairwise(ordered))
    if overlaps > 1:
        return []
    if not overlaps:
        return ranges
    apart: list[range] = []
    for one in ordered:
        if apart and one.start < apart[-1].stop:
            apart[-1] = range(apart[-1].start, max(apart[-1].stop, one.stop))
        else:
            apart.append(one)
    return apart


def _content_range(part: range, size: int) -> str:
    return f"bytes {part.start}-{part.stop - 1}/{size}"


def _multipart(
    ranges: Sequence[range], size: int, content_type: str, boundary: str
) -> tuple[bytes | range, ...]:
    pieces: list[bytes | range] = []
    for part in ranges:
        head = (
            f"\r\n--{boundary}\r\n"
            f"Content-Type: {content_type}\r\n"
            f"Content-Range: {_content_range(part, size)}\r\n\r\n"
        )
        pieces += [head.encode("latin-1"), part]
    return (*pieces, f"\r\n--{boundary}--\r\n".encode("ascii"))
