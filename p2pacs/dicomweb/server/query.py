"""The query of a search (QIDO-RS): parsed and checked, no I/O (PS3.18 8.3.4, 10.6.1.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from attrs import field, frozen
from pydicom.datadict import tag_for_keyword

from p2pacs import limits
from p2pacs.dataset.json_model import SINGLE_VRS, Json, entry, name_groups, separated, texts
from p2pacs.dataset.search_options import SearchOptions
from p2pacs.dataset.vocabulary import TEXT_VRS, tag, vr_of
from p2pacs.errors import UsageError

ALL: Final = "all"
"""Of ``includefield``: every attribute that is known."""

UNIQUE: Final = {
    "STUDY": tag("StudyInstanceUID"),
    "SERIES": tag("SeriesInstanceUID"),
    "IMAGE": tag("SOPInstanceUID"),
}

_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
_WHOLE: Final = re.compile(r"[0-9]{1,9}")
_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,2})?")
_INTEGERS: Final = frozenset({"SL", "SS", "SV", "UL", "US", "UV"})
_FLOATS: Final = frozenset({"FD", "FL"})

_LISTED: Final = frozenset({"UI", "CS"})
"""VRs whose values may be listed with commas, too, which none of them can hold (PS3.18 8.3.4.1)."""

_CHOICES: Final = {"true": True, "false": False}

_FUZZY: Final = "fuzzymatching"

_WARNINGS: Final = {
    _FUZZY: "",
    "emptyvaluematching": "The emptyvaluematching parameter is not supported.",
    "multiplevaluematching": "",
}
"""Parameters that are true or false, and the warning where what they ask for is not done."""

_LITERAL: Final = (
    "A name with wild cards within a word: only literal matching has been performed of it."
)
"""Such a word sounds like none; PS3.18 8.3.4.2 has nearly these words for who does nothing."""

_WITHIN: Final = re.compile(r"\w[*?]+\w")

_PAGING: Final = ("limit", "offset")


@frozen
class SearchQuery:
    """A search at one level."""

    level: str
    """``STUDY``, ``SERIES`` or ``IMAGE``."""
    keys: Json = field(repr=False)
    """What must match, by tag; without value if only asked for."""
    fields: frozenset[str] = field(default=frozenset(), repr=False)
    """Tags that are asked for besides those that every answer has."""
    everything: bool = False
    """Whether every attribute is asked for."""
    limit: int | None = None
    """Answers at most; None: as many as the server gives."""
    offset: int = 0
    """Answers that are left out before."""
    warnings: tuple[str, ...] = ()
    """What the query asks for and is not done."""
    path: frozenset[str] = frozenset()
    """Tags of the UIDs that the path names, not the query."""
    fuzzy: bool = False
    """Whether names that sound alike match, too."""

    @property
    def options(self) -> SearchOptions:
        """How it is matched: dates with their times always as one range, keys of any level."""
        return SearchOptions(relational=True, combined=True, fuzzy=self.fuzzy)

    @property
    def of_one_study(self) -> bool:
        """Whether its path or its keys name a study."""
        return bool(self.keys.get(UNIQUE["STUDY"], {}).get("Value"))

    @property
    def is_plain(self) -> bool:
        """Whether it asks for all that there is below a series that its path names."""
        wanted = {key for key, held in self.keys.items() if held.get("Value")}
        return UNIQUE["SERIES"] in self.path and wanted == self.path and not self.offset

    @classmethod
    def parse(cls, level: str, path: Mapping[str, str], query: bytes) -> SearchQuery:
        """Read the query part of a URL.

        Args:
            level: of what is searched.
            path: unique keys out of the path: tag → UID.
            query: as it came, percent signs and all.

        Raises:
            UsageError: something in it that is not understood: HTTP status 400.
        """
        parameters: dict[str, list[str]] = {}
        for name, value in _pairs(query):
            parameters.setdefault(name, []).append(value)
        asked = _choices(parameters)
        limit, offset = (_count(parameters, name) for name in _PAGING)
        fields = [
            part.strip()
            for value in parameters.pop("includefield", ())
            for part in value.split(",")
        ]
        keys = _keys(parameters)
        fuzzy = _FUZZY in asked
        warnings = [_WARNINGS[name] for name in asked if _WARNINGS[name]]
        if fuzzy and _is_within_a_word(keys):
            warnings.append(_LITERAL)
        if path.keys() & keys.keys():
            raise UsageError("the query gives a UID that the path names already")
        keys.update({key: entry("UI", uid) for key, uid in path.items()})
        return cls(
            level,
            keys,
            frozenset(_path_of(name)[0] for name in fields if name not in ("", ALL)),
            ALL in fields,
            limit,
            offset or 0,
            tuple(warnings),
            frozenset(path),
            fuzzy,
        )


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=limits.SEARCH_PARAMETERS,
        )
    except UnicodeError as error:
        raise UsageError("the query must be UTF-8, its special characters as %XX") from error
    except ValueError as error:
        raise UsageError(f"a query has at most {limits.SEARCH_PARAMETERS} parameters") from error


def _choices(parameters: dict[str, list[str]]) -> list[str]:
    """Those of the parameters that are true or false, and are true."""
    asked = []
    for name in _WARNINGS:
        value = _single(parameters, name)
        if value is None:
            continue
        if value.lower() not in _CHOICES:
            raise UsageError(f"{name} must be true or false")
        if _CHOICES[value.lower()]:
            asked.append(name)
    return asked


def _is_within_a_word(keys: Json) -> bool:
    """Whether a name among the keys has a wild card between two of its letters."""
    names = (name for key, held in keys.items() if held["vr"] == "PN" for name in texts(keys, key))
    return any(_WITHIN.search(name) for name in names)


def _count(parameters: dict[str, list[str]], name: str) -> int | None:
    value = _single(parameters, name)
    if value is None:
        return None
    if not _WHOLE.fullmatch(value):
        raise UsageError(f"{name} must be a whole number")
    return int(value)


def _single(parameters: dict[str, list[str]], name: str) -> str | None:
    values = parameters.pop(name, [])
    if len(values) > 1:
        raise UsageError(f"{name} is given more than once")
    return values[0].strip() if values else None


# ---------------------------------------------------------------- keys


def _keys(parameters: Mapping[str, list[str]]) -> Json:
    keys: Json = {}
    for name, values in parameters.items():
        path = _path_of(name)
        item = keys
        for key in path[:-1]:
            inside = item.setdefault(key, {"vr": "SQ", "Value": [{}]})
            if not inside.get("Value"):
                raise UsageError(f"{_legible(name)} is given more than once")
            item = inside["Value"][0]
        if path[-1] in item:
            raise UsageError(f"{_legible(name)} is given more than once")
        item[path[-1]] = _held(name, path, values)
    return keys


def _held(name: str, path: list[str], values: list[str]) -> dict[str, Any]:
    vr = vr_of(path[-1])
    if vr is None or any(vr_of(key) != "SQ" for key in path[:-1]):
        raise UsageError(f"not an attribute that can be searched: {_legible(name)}")
    given = [part for value in values for part in _split(vr, value)]
    if len(values) > 1 and vr != "UI":
        raise UsageError(f"{_legible(name)} is given more than once")
    if vr == "SQ":
        if any(given):
            raise UsageError(f"{_legible(name)} is a sequence: write {_legible(name)}.ATTRIBUTE=…")
        return entry("SQ")
    return entry(vr, *(_value(vr, part, name) for part in given))


def _split(vr: str, value: str) -> list[str]:
    if vr in SINGLE_VRS:
        return [value]
    if vr in _LISTED:
        value = value.replace(",", "\\")
    return separated(vr, value)


def _value(vr: str, text: str, name: str) -> Any:
    text = text if vr in SINGLE_VRS else text.strip(" \0")
    if not text:
        return None
    if vr == "PN":
        return name_groups(text)
    if vr in TEXT_VRS:
        return text
    if vr == "AT" and _TAG.fullmatch(text):
        return text.upper()
    if vr in _INTEGERS and _DECIMAL.fullmatch(text) and "." not in text and "e" not in text.lower():
        return int(text)
    if vr in _FLOATS and _DECIMAL.fullmatch(text):
        return float(text)
    kind = "a number" if vr in _INTEGERS | _FLOATS else "something that can be searched"
    raise UsageError(f"{_legible(name)} must be {kind}")


def _path_of(name: str) -> list[str]:
    """The tags of an attribute, ``KEYWORD``, ``GGGGEEEE``, or in sequences with dots."""
    parts = name.split(".")
    if len(parts) > limits.SEARCH_DEPTH:
        raise UsageError("an attribute in a sequence of a sequence of …: that is too deep")
    return [_tag_of(part, name) for part in parts]


def _tag_of(part: str, name: str) -> str:
    if _TAG.fullmatch(part):
        return part.upper()
    number = tag_for_keyword(part)
    if number is None:
        raise UsageError(
            f"not a parameter: {_legible(name)} (write a keyword as PatientID, or its tag)"
        )
    return f"{number:08X}"


def _legible(name: str) -> str:
    """A parameter's name, as far as it can be told: it may be a value by mistake."""
    plain = name.replace(".", "")
    is_name = len(name) <= limits.SEARCH_NAME and plain.isascii() and plain.isalnum()
    return name if is_name else "what it is called"
