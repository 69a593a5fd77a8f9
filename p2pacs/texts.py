"""What others wrote, made safe to show: on a terminal, on a page, in a log.

A member's program, a PACS or a workstation may put anything into a text. Sequences that a terminal
obeys (ECMA-48, `ESC [` and the C1 controls), line ends that forge a second line, and marks that
turn the direction of what stands beside them (Unicode Standard Annex 9) are shown as escapes.
Letters of every script stay as they are.
"""

from __future__ import annotations

import unicodedata
from typing import Final

_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that are seen by what they do to others, or not at all."""

_JOINERS: Final = frozenset("\u200c\u200d")
"""Zero-width (non-)joiner: Persian and Indic names need them, and they turn nothing."""

_MARKS: Final = 4
"""Combining marks in a row that are shown: more stack over the lines beside them."""


def clean(text: str) -> str:
    """The text as it may be shown in one line: what would act instead of being read is escaped.

    Cleaning what is clean changes nothing.
    """
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if (category in _HIDDEN and character not in _JOINERS) or marks > _MARKS:
            shown.append(_escaped(character))
            marks = 0
        else:
            shown.append(character)
    return "".join(shown)


def _escaped(character: str) -> str:
    number = ord(character)
    if number <= 0xFF:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"
