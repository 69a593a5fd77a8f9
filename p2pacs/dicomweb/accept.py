"""Which of the representations that there are a client takes (RFC 9110 12.5.1, PS3.18 8.7). Pure.

What others broke on is taken as it comes: ``transfer-syntax=*``, with and without quotation marks
(OHIF#2591), several media types of which the first acceptable one counts (OHIF#3990), a ``type``
whose slash is not quoted (OHIF#2969). What cannot be read at all is passed over: it accepts
nothing, and the rest counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Self

from attrs import frozen

from p2pacs.errors import NotAcceptableError, UsageError
from p2pacs.limits import ACCEPT_BYTES, ACCEPT_RANGES

RELATED: Final = "multipart/related"
ANY: Final = "*"

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110's word
_TYPE: Final = re.compile(rf"{_TOKEN}/{_TOKEN}")
_QUALITY: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
_PIECE: Final = re.compile(r'"((?:[^"\\]|\\.)*)"?|([,;])|[^,;"]+', re.DOTALL)
"""Every text is a row of these: a quoted one, which may lack its end, a mark, or anything else."""
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_LOST_PLUS: Final = re.compile(r"(?<=[\w.]) (?=[\w.])")


@frozen
class Representation:
    """One way to give what is there."""

    media_type: str
    """Of the thing, or in multipart of each part."""
    transfer_syntax: str = ""
    """Which one it is in; empty where there are none (JSON, rendered images)."""
    multipart: bool = False
    """Whether it is in multipart/related."""
    usual: bool = True
    """Whether who asks for the media type and names no transfer syntax takes this one."""

    @property
    def content_type(self) -> str:
        """The Content-Type of the thing, or of each part."""
        syntax = f"; transfer-syntax={self.transfer_syntax}" if self.transfer_syntax else ""
        return self.media_type + syntax


@frozen
class MediaRange:
    """What a client accepts: one entry of its list."""

    media_type: str
    """In lower case; ``type/*`` and ``*/*`` stand for many. Of multipart/related the type of its
    parts."""
    transfer_syntax: str = ""
    """A UID, ``*`` for whatever it is stored in; empty if the client does not say."""
    multipart: bool | None = None
    """Whether in multipart/related; None: either way."""
    quality: float = 1.0

    def specificity(self, offered: Representation) -> int:
        """How closely it names a representation; 0 if it is another."""
        if self.multipart not in (None, offered.multipart):
            return 0
        kind = offered.media_type.lower()
        if self.media_type == kind:
            degree = 3
        elif self.media_type == f"{kind.partition('/')[0]}/*":
            degree = 2
        elif self.media_type == "*/*":
            degree = 1
        else:
            return 0
        if self.transfer_syntax in ("", ANY):
            unsaid = not self.transfer_syntax and degree == 3
            return 0 if unsaid and not offered.usual else 2 * degree
        return 2 * degree + 1 if self.transfer_syntax == offered.transfer_syntax else 0


@frozen
class Accept:
    """All that a client accepts."""

    preferred: tuple[MediaRange, ...] = ()
    """Of the query parameter ``accept``, which comes first (PS3.18 8.7.8)."""
    ranges: tuple[MediaRange, ...] = ()
    """Of the header."""

    @classmethod
    def parse(cls, headers: Iterable[str], parameters: Iterable[str] = ()) -> Self:
        """What a request says.

        Args:
            headers: its fields ``Accept``; none, or empty ones: whatever there is.
            parameters: its query parameters ``accept`` (PS3.18 8.3.3.1), percent signs decoded.

        Raises:
            UsageError: longer than anybody's, or with more entries.
        """
        field, query = ",".join(headers), ",".join(parameters)
        if len(field) + len(query) > ACCEPT_BYTES:
            raise UsageError(f"Accept may have {ACCEPT_BYTES} characters")
        # A plus sign that was not escaped has become a space on its way.
        query = _LOST_PLUS.sub("+", query)
        ranges = tuple(_ranges(field)) if field.strip() else (MediaRange("*/*"),)
        return cls(tuple(_ranges(query)), ranges)

    def choose(self, offered: Sequence[Representation]) -> Representation:
        """The representation that the client likes best.

        Among equals it is the one that the client names first, then the first that is offered.

        Args:
            offered: what there is, the most natural one first.

        Raises:
            NotAcceptableError: it takes none of them; the message lists them.
        """
        for ranges in (self.preferred, self.ranges):
            rated = [
                (-quality, place, number, one)
                for number, one in enumerate(offered)
                for quality, place in [_rating(ranges, one)]
                if quality > 0
            ]
            if rated:
                return min(rated, key=lambda entry: entry[:3])[3]
        there = ", ".join(dict.fromkeys(one.content_type for one in offered))
        raise NotAcceptableError(f"none of what Accept names is here; there is: {there}")


def _rating(ranges: Sequence[MediaRange], offered: Representation) -> tuple[float, int]:
    """(Quality, place) of the range that names a representation most closely; (0, 0) if none."""
    found = [(one.specificity(offered), one.quality, -place) for place, one in enumerate(ranges)]
    closest = max(found, default=(0, 0.0, 0))
    return (closest[1], -closest[2]) if closest[0] else (0.0, 0)


def _ranges(field: str) -> Iterator[MediaRange]:
    for place, entry in enumerate(_entries(field)):
        if place >= ACCEPT_RANGES:
            raise UsageError(f"Accept may name {ACCEPT_RANGES} media types")
        if (found := _range(entry)) is not None:
            yield found


def _entries(field: str) -> Iterator[list[str]]:
    """The entries of a list, each cut at its semicolons; quotation marks hold both together."""
    entry, text = list[str](), ""
    for piece in _PIECE.finditer(field):
        quoted, mark = piece[1], piece[2]
        if mark is None:
            text += piece[0] if quoted is None else _ESCAPED.sub(r"\1", quoted)
            continue
        entry.append(text)
        text = ""
        if mark == ",":
            yield entry
            entry = []
    yield [*entry, text]


def _range(entry: Sequence[str]) -> MediaRange | None:
    """One entry; None if it cannot be read."""
    media_type = entry[0].strip().lower()
    if media_type == ANY:  # what Java's URLConnection says
        media_type = "*/*"
    said: dict[str, str] = {}
    for parameter in entry[1:]:
        name, _, value = parameter.partition("=")
        said.setdefault(name.strip().lower(), value.strip())
    quality = said.get("q", "1")
    if not _TYPE.fullmatch(media_type) or not _QUALITY.fullmatch(quality):
        return None
    multipart: bool | None = False
    if media_type in (RELATED, "multipart/*"):
        multipart, media_type = True, said.get("type", "*/*").lower()
        if not _TYPE.fullmatch(media_type):
            return None
    elif media_type == "*/*":
        multipart = None
    return MediaRange(media_type, said.get("transfer-syntax", ""), multipart, float(quality))
