"""The identifiers of C-FIND, C-MOVE and C-GET, checked (PS3.4 C.4.1.1.3, C.4.2.1.4)."""

from __future__ import annotations

import re
from typing import Final

from attrs import field, frozen
from pydicom.dataset import Dataset

from p2pacs.catalogue.matching import is_any
from p2pacs.catalogue.times import KINDS, combined, is_possible
from p2pacs.dataset.elements import read_element
from p2pacs.dataset.json_model import Json, texts
from p2pacs.dataset.search_options import LITERAL, SearchOptions
from p2pacs.dataset.vocabulary import (
    CONTROL_TAGS,
    DATES_WITH_TIMES,
    INSTANCE_TAGS,
    PATIENT_TAGS,
    SERIES_TAGS,
    STUDY_TAGS,
    QueryRoot,
    tag,
)
from p2pacs.errors import UsageError

_FORMS: Final = {
    "DA": "a date or range: 20260131, 20260101-20260131",
    "TM": "a time or range: 1030, 0800-1200",
    "DT": "a date time or range: 202601311030",
}
"""Short enough for an Error Comment, 64 characters with the tag."""

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

LEVELS: Final = ("PATIENT", "STUDY", "SERIES", "IMAGE")
UNIQUE: Final = {
    "PATIENT": tag("PatientID"),
    "STUDY": tag("StudyInstanceUID"),
    "SERIES": tag("SeriesInstanceUID"),
    "IMAGE": tag("SOPInstanceUID"),
}
_LEVEL_TAGS: Final = {
    "PATIENT": PATIENT_TAGS,
    "STUDY": STUDY_TAGS,
    "SERIES": SERIES_TAGS,
    "IMAGE": INSTANCE_TAGS,
}


@frozen
class Question:
    """A C-FIND identifier: its level and the keys that count there."""

    level: str
    root: QueryRoot
    keys: Json = field(repr=False)
    """Keys of the vocabulary at this level or above; without value if only asked for."""
    below: Json = field(factory=dict, repr=False)
    """Keys of series in a query at study level."""
    unmatched: frozenset[str] = frozenset()
    """Tags of other keys with a value: below the level, or not in the vocabulary."""
    options: SearchOptions = LITERAL

    @classmethod
    def parse(
        cls, identifier: Dataset, root: QueryRoot, options: SearchOptions = LITERAL
    ) -> Question:
        """Check an identifier.

        Raises:
            UsageError: no or another level, no unique key of a level above (unless relational
                queries were agreed on), a key that cannot be read, or one whose value nothing can
                be compared with (status 0xA900).
        """
        level = _level(identifier, root)
        keys = _keys(identifier)
        if not options.relational:
            for above in LEVELS[LEVELS.index(root) : LEVELS.index(level)]:
                _require(keys, above, level)
        return cls.of(level, root, keys, options)

    @classmethod
    def of(
        cls, level: str, root: QueryRoot, keys: Json, options: SearchOptions = LITERAL
    ) -> Question:
        """The question of these keys at a level; over all studies, unless keys name some.

        Raises:
            UsageError: a key has a value that nothing can be compared with.
        """
        held = frozenset[str]().union(*(_LEVEL_TAGS[name] for name in upto(level)))
        below = SERIES_TAGS - held if level == "STUDY" else frozenset[str]()
        as_one = _combined(keys) if options.combined else set()
        for key in keys:
            if key in held | below:
                _comparable(keys, key, ordered=key not in as_one)
        others = [key for key in keys if key not in held | below | CONTROL_TAGS]
        return cls(
            level,
            root,
            {key: keys[key] for key in keys if key in held},
            {key: keys[key] for key in keys if key in below},
            frozenset(key for key in others if keys[key].get("Value")),
            options,
        )


@frozen
class Selection:
    """What a C-MOVE or C-GET identifier asks for; an empty tuple means all."""

    level: str
    patients: tuple[str, ...] = field(repr=False)
    studies: tuple[str, ...] = field(repr=False)
    series: tuple[str, ...] = field(repr=False)
    instances: tuple[str, ...] = field(repr=False)

    @classmethod
    def parse(
        cls, identifier: Dataset, root: QueryRoot, options: SearchOptions = LITERAL
    ) -> Selection:
        """Read the identifier of a retrieval: unique keys, lists of UIDs.

        Raises:
            UsageError: no or another level, no unique key of the level or (unless relational
                retrieval was agreed on) of one above.
        """
        level = _level(identifier, root)
        keys = _keys(identifier)
        highest = level if options.relational else root
        for needed in LEVELS[LEVELS.index(highest) : LEVELS.index(level) + 1]:
            _require(keys, needed, level)
        asked = upto(level)
        chosen = (tuple(texts(keys, UNIQUE[name])) if name in asked else () for name in LEVELS)
        return cls(level, *chosen)


def upto(level: str) -> tuple[str, ...]:
    """The levels from PATIENT down to this one."""
    return LEVELS[: LEVELS.index(level) + 1]


def _level(identifier: Dataset, root: QueryRoot) -> str:
    level = str(identifier.get("QueryRetrieveLevel") or "").strip()
    allowed = LEVELS[LEVELS.index(root) :]
    if level not in allowed:
        choice = f"{', '.join(allowed[:-1])} or {allowed[-1]}"
        raise UsageError(f"Query/Retrieve Level must be {choice}")
    return level


def _keys(identifier: Dataset) -> Json:
    keys: Json = {}
    for number in sorted(identifier.keys()):
        key = f"{int(number):08X}"
        try:
            found = read_element(identifier, key)
        except ValueError as error:
            raise UsageError(f"the key ({key[:4]},{key[4:]}) has no valid value") from error
        if found is not None:
            keys[key] = found
    return keys


def paired(keys: Json) -> dict[str, str]:
    """Keys of dates, and of the times that belong to them, with one value each."""
    pairs = DATES_WITH_TIMES.items()
    return {
        date: time
        for date, time in pairs
        if date in keys and time in keys and len(texts(keys, date)) == len(texts(keys, time)) == 1
    }


def _combined(keys: Json) -> set[str]:
    """Times that are matched as one range with their date: they may end before they begin.

    Raises:
        UsageError: a range of both ends before it begins.
    """
    found = set()
    for date, time in paired(keys).items():
        span = combined(texts(keys, date)[0], texts(keys, time)[0])
        if span is not None:
            found.add(time)
            if span[0] > span[1]:
                raise UsageError(f"({date[:4]},{date[4:]}) with its time ends before it begins")
    return found


def _comparable(keys: Json, key: str, *, ordered: bool) -> None:
    """Refuse a value that can match nothing, as no attribute can have it."""
    vr = keys[key]["vr"]
    for value in texts(keys, key):
        if is_any(value):
            continue
        if vr in KINDS and not is_possible(vr, value, ordered=ordered):
            raise UsageError(f"({key[:4]},{key[4:]}) must be {_FORMS[vr]}")
        if vr in ("IS", "DS") and not _NUMBER.fullmatch(value):
            raise UsageError(f"({key[:4]},{key[4:]}) must be a number")
        if vr == "UI" and set("*?") & set(value):
            raise UsageError(f"({key[:4]},{key[4:]}) must be a whole UID, or * alone")


def _require(keys: Json, needed: str, level: str) -> None:
    key = UNIQUE[needed]
    values = texts(keys, key)
    wild = any(set("*?") & set(value) for value in values)
    if not values or wild:
        raise UsageError(f"at {level} level, ({key[:4]},{key[4:]}) needs a value")
