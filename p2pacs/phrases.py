"""Texts for people that remember their values, and so can be said in another language later.

Rooms that know no pages refuse and report in phrases. A phrase is an English `str`, for commands,
logs and the wire; on a page `p2pacs.languages.said` puts it, and the phrases among its values, into
the reader's language. What is cut out of it or put together with others is English alone.
``scripts/translate`` finds `Phrase` and `counted` where they are written.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from attrs import frozen


class Phrase(str):
    """A text with values in the places ``%(name)s``; a per cent sign in it is written ``%%``."""

    text: str
    """The English text without its values: by it catalogues know it."""
    values: Mapping[str, object]
    """By the names of their places."""
    many: str | None
    """The text for other numbers than one, where it depends on a number."""
    number: int

    def __new__(cls, text: str, /, **values: object) -> Phrase:
        """A text and its values.

        Args:
            text: English.
            values: `Phrase`, `Moment` and `p2pacs.units.ByteCount` are written as the language
                does; others as they are.
        """
        return _made(text, values)

    def __str__(self) -> str:
        return self  # so that the text of an error is still a phrase

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self.text, dict(self.values), self.many, self.number)


def counted(one: str, many: str, number: int, /, **values: object) -> Phrase:
    """A phrase that depends on a number, which it has as ``%(num)s``."""
    return _made(one, {"num": number, **values}, many, number)


def both(first: str, second: str) -> Phrase:
    """Two sentences, one after the other."""
    return _made("%(first)s %(second)s", {"first": first, "second": second})


def _made(
    text: str, values: Mapping[str, object], many: str | None = None, number: int = 0
) -> Phrase:
    form = text if many is None or number == 1 else many
    made = str.__new__(Phrase, form % values)
    made.text, made.values, made.many, made.number = text, values, many, number
    return made


@frozen
class Moment:
    """A time, as a value of a phrase: to the minute, in UTC."""

    milliseconds: int
    """Since 1970."""

    def __str__(self) -> str:
        return f"{datetime.fromtimestamp(self.milliseconds / 1000, UTC):%Y-%m-%d %H:%M} UTC"
