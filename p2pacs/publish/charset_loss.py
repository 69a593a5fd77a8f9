"""What the PACS tells against what headers say, where its character set lost some of it (pure).

A PACS that keeps its index in one character set (Orthanc's default: Latin 1) tells a name in
another one without the characters that do not fit. The rule:

- What the PACS tells counts, as it may have been corrected there, but
- the headers' value counts if the PACS tells none, or just that value without the characters that
  do not fit into one of the character sets of PS3.3 C.12.1.1.2, left out or written as ``?``.
"""

from __future__ import annotations

from typing import Final

from p2pacs.dataset.json_model import Json, texts

_CHARACTER_SETS: Final = (
    *("ascii", "latin_1", "iso8859_2", "iso8859_3", "iso8859_4", "iso8859_5", "iso8859_6"),
    *("iso8859_7", "iso8859_8", "iso8859_9", "tis_620", "shift_jis", "euc_kr", "gb2312"),
)
_ERRORS: Final = ("ignore", "replace")
_REPLACED: Final = "\N{REPLACEMENT CHARACTER}"


def together(told: Json, known: Json) -> Json:
    """What the PACS tells, and what headers say, by the rule above.

    Args:
        told: by the PACS.
        known: by the headers. Empty attributes say that the headers have none.
    """
    said = {
        key: held
        for key, held in told.items()
        if "Value" in held and not is_lost(texts(told, key), texts(known, key))
    }
    return known | said


def is_lost(told: list[str], known: list[str]) -> bool:
    """Whether these values are what a character set left of the known ones: nothing at all, or
    all but what does not fit."""
    if told == known or not known:
        return False
    if not told:
        return True
    left = "\\".join(told), "\\".join(known)
    return not left[1].isascii() and _trim(left[0].replace(_REPLACED, "?")) in _remains(left[1])


def _remains(value: str) -> set[str]:
    return {
        _trim(value.encode(name, errors).decode(name))
        for name in _CHARACTER_SETS
        for errors in _ERRORS
    }


def _trim(value: str) -> str:
    """Without what separates empty parts: some keep the delimiters of a name, some do not."""
    groups = (group.split("^") for group in value.split("="))
    trimmed = ("^".join(part.strip(" ") for part in group).rstrip("^") for group in groups)
    return "=".join(trimmed).rstrip("=").strip(" ")
