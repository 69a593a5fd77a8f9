"""The DICOM JSON model of a data set (PS3.18 F): its shape, and what is read in it.

Numbers that DICOM writes as text (IS, DS) are text here, too: what the PACS said is what a
workstation reads. Numbers in their place (a DICOMweb PACS, indexes of version 0.1) are read as
well.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable
from decimal import Decimal
from math import isfinite
from typing import Any, Final

from p2pacs.dataset.vocabulary import NUMBER_FORMATS, TEXT_VRS, tag

Json = dict[str, dict[str, Any]]
"""Tag (eight hexadecimal digits, upper case) → ``{"vr": …, "Value": […]}``."""

DEPTH: Final = 16
"""Sequences in sequences: a request has two, a structured report that is no key a dozen."""

_TAG: Final = re.compile(r"[0-9A-F]{8}")
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_DS_CHARACTERS: Final = 16
"""Of a Decimal String (PS3.5 6.2)."""

_SURROGATES: Final = re.compile("[\ud800-\udfff]")
"""What JSON can write and UTF-8 cannot."""

SINGLE_VRS: Final = frozenset({"LT", "ST", "UR", "UT"})
"""VRs in which a backslash is a character, not a separator (PS3.5 6.2)."""

_PLAIN_VRS: Final = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"})
"""VRs of the default repertoire, whatever the character set of the others (PS3.5 6.1.2.2)."""

_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")


# ---------------------------------------------------------------- reading


def texts(attributes: Json, name: str) -> list[str]:
    """The values of an attribute (by tag or keyword) as text, without padding.

    Person names come as ``alphabetic=ideographic=phonetic``; sequences give nothing.
    """
    key = name if name in attributes else tag(name) if not name[0].isdigit() else name
    entry = attributes.get(key)
    if entry is None or entry.get("vr") == "SQ":
        return []
    values = (_text(value) for value in entry.get("Value", ()))
    return [value for value in values if value]


def text(attributes: Json, name: str) -> str:
    """The first value of an attribute as text; empty if there is none."""
    values = texts(attributes, name)
    return values[0] if values else ""


def number(attributes: Json, name: str) -> int | None:
    """The first value of an attribute as a whole number, if it is one."""
    found = text(attributes, name)
    return int(found) if _WHOLE.fullmatch(found) else None


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return "=".join(str(value.get(group, "")) for group in _GROUPS).rstrip("=")
    return str(value).strip(" \0")


def of_level(attributes: Json, tags: Iterable[str]) -> Json:
    """The attributes that are among ``tags``."""
    return {key: attributes[key] for key in tags if key in attributes}


# ---------------------------------------------------------------- making


def entry(vr: str, *values: Any) -> dict[str, Any]:
    """One attribute of the JSON model; without values if all are empty."""
    kept = [value for value in values if value not in (None, "")]
    return {"vr": vr, "Value": list(values)} if kept else {"vr": vr}


def name_groups(name: str) -> dict[str, str] | None:
    """A person name ``alphabetic=ideographic=phonetic`` by its component groups."""
    return {g: part for g, part in zip(_GROUPS, name.split("="), strict=False) if part} or None


def with_numbers(held: dict[str, Any]) -> dict[str, Any]:
    """An attribute as DICOMweb tells it: decimal and integer strings are numbers, as every viewer
    computes with them (PS3.18 F.2.3); what is none stays as it is."""
    vr = held["vr"]
    if vr == "SQ":
        items = [{key: with_numbers(item[key]) for key in item} for item in held.get("Value", ())]
        return entry("SQ", *items)
    if vr not in ("IS", "DS", "FL", "FD") or "Value" not in held:
        return held
    return {**held, "Value": [_as_number(value) for value in held["Value"]]}


def _as_number(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else _NOT_FINITE.get(str(value), "NaN")
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        return value
    number = int(value) if _WHOLE.fullmatch(value) else float(value)
    return number if abs(number) < _LARGEST else value


_DECIMAL: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LARGEST: Final = 2.0**53
"""Beyond, JavaScript would make another number of a whole one."""
_NOT_FINITE: Final = {"inf": "Infinity", "-inf": "-Infinity"}
"""What JSON has no numbers for."""


# ---------------------------------------------------------------- from strangers


def checked(attributes: object, depth: int = 0) -> Json:
    """Attributes that have this shape: everything after this may rely on it.

    Raises:
        ValueError: something else.
    """
    if not isinstance(attributes, dict) or depth > DEPTH:
        raise ValueError("not the DICOM JSON model")
    for key, held in attributes.items():
        if not isinstance(key, str) or not _TAG.fullmatch(key) or not isinstance(held, dict):
            raise ValueError("not the DICOM JSON model: an attribute is a tag and an object")
        vr, values = held.get("vr"), held.get("Value", ())
        if not isinstance(vr, str) or len(vr) != 2 or not isinstance(values, list | tuple):
            raise ValueError("not the DICOM JSON model: an attribute has a VR and a list of values")
        if held.keys() - {"vr", "Value"}:
            raise ValueError("not the DICOM JSON model: more than a VR and values")
        for value in values:
            _check(value, vr, depth)
    return attributes


def _check(value: object, vr: str, depth: int) -> None:
    if vr == "SQ":
        checked(value, depth + 1)
    elif value is not None and not _fits(value, vr):
        raise ValueError("not the DICOM JSON model: a value that its VR cannot have")


def _fits(value: object, vr: str) -> bool:
    """Whether a value is one of its VR; IS and DS may be numbers (PS3.18 F.2.3)."""
    if vr == "PN":
        return isinstance(value, dict) and all(_is_text(part) for part in value.values())
    if isinstance(value, int | float) and vr in ("IS", "DS"):
        return True
    if vr in TEXT_VRS:
        return _is_text(value)
    if vr == "AT":
        return isinstance(value, str) and _TAG.fullmatch(value.upper()) is not None
    return vr in NUMBER_FORMATS and _packs(value, NUMBER_FORMATS[vr])


def _is_text(value: object) -> bool:
    return isinstance(value, str) and (value.isascii() or not _SURROGATES.search(value))


def _packs(value: object, layout: str) -> bool:
    try:
        struct.pack("<" + layout, value)
    except (struct.error, OverflowError):
        return False
    return True


def understood(answer: object, tags: Iterable[str], depth: int = 0) -> Json:
    """What of a PACS's answer is the JSON model, as far as it is among ``tags``.

    What is not is left out, not refused: the rest of the answer is still of use. IS and DS
    become text, as in all else; binary attributes are left out.
    """
    if not isinstance(answer, dict):
        return {}
    found: Json = {}
    for key in tags:
        held = answer.get(key)
        if not isinstance(held, dict):
            continue
        vr, values = held.get("vr"), held.get("Value", [])
        if isinstance(vr, str) and len(vr) == 2 and isinstance(values, list):
            usable = [_usable(value, vr, depth) for value in _split(values, vr)]
            found[key] = entry(vr, *(value for value in usable if value is not None))
    return found


def _usable(value: object, vr: str, depth: int) -> Any:
    if vr == "SQ":
        if not isinstance(value, dict) or depth >= DEPTH:
            return None
        return understood(value, [key for key in value if _TAG.fullmatch(str(key))], depth + 1)
    if isinstance(value, Decimal) and vr != "DS":
        value = float(value)
    if isinstance(value, float) and not isfinite(value):
        return None
    if isinstance(value, int | float | Decimal) and vr in ("IS", "DS"):
        return _decimal(value)
    if not _fits(value, vr):
        return None
    return value.strip(" \0") if isinstance(value, str) and vr not in SINGLE_VRS else value


def _split(values: list[object], vr: str) -> list[object]:
    """What some write as one value."""
    if vr not in _PLAIN_VRS:
        return values
    parts = (separated(vr, one) if isinstance(one, str) else [one] for one in values)
    return [part for of_one in parts for part in of_one]


def separated(vr: str, value: str) -> list[str]:
    """The values in a text. In VRs of the default repertoire a backslash separates always, and is
    taken for another character where 0x5C is one in the character set of the rest: the yen sign of
    ISO_IR 13 (JIS X 0201), so that some systems write one value for all."""
    if vr in _PLAIN_VRS:
        value = value.replace("\N{YEN SIGN}", "\\").replace("\N{REPLACEMENT CHARACTER}", "\\")
    return value.split("\\")


def _decimal(value: float | Decimal) -> str:
    """A number as it is written, but in no more characters than a DS has: some write a double with
    17 digits (Orthanc: -77.204063415500002 for -77.2040634155)."""
    text = str(value)
    shortest = text if len(text) <= _DS_CHARACTERS else repr(float(value))
    return shortest if isfinite(float(shortest)) else text


# ---------------------------------------------------------------- bytes


def dump(attributes: Json) -> bytes:
    """Attributes as compact JSON in UTF-8."""
    return json.dumps(attributes, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "replace"
    )


def load(raw: bytes) -> Json:
    """The attributes that `dump` gave.

    Raises:
        ValueError: not JSON, or not the JSON model.
    """
    try:
        return checked(json.loads(raw))
    except RecursionError as error:
        raise ValueError("JSON nested too deep") from error


def load_some(raw: bytes, names: Iterable[str]) -> Json:
    """Those of the attributes that `dump` gave that have these keywords; only they are checked,
    which takes six times as long as to parse all.

    Raises:
        ValueError: not JSON, or not the JSON model.
    """
    try:
        found = json.loads(raw)
    except RecursionError as error:
        raise ValueError("JSON nested too deep") from error
    return checked(of_level(found, map(tag, names)) if isinstance(found, dict) else found)


def load_answers(raw: bytes | bytearray) -> list[dict[str, object]]:
    """The answers to a DICOMweb search; decimals stay as they are written (`Decimal`).

    Raises:
        ValueError: not JSON, or no array of objects.
    """
    try:
        answers = json.loads(raw, parse_float=Decimal)
    except RecursionError as error:
        raise ValueError("JSON nested too deep") from error
    if not isinstance(answers, list) or not all(isinstance(one, dict) for one in answers):
        raise ValueError("not an array of objects")
    return answers
