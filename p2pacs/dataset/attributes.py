"""What the index says of an instance: the attributes of a C-FIND, as DICOM JSON (PS3.18 F).

Values are decoded here from the raw elements, not by pydicom's own conversion: that
warns with the offending value (patient data) and costs more than all the rest.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

from pydicom.charset import decode_bytes
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

from p2pacs.dataset.header import Header

VALUE_BYTES: Final = 10_240
"""Values longer than this (LT's maximum) are no search keys, whatever their element says."""

KEYS: Final[dict[int, str]] = {
    0x00080008: "CS",  # Image Type
    0x00080016: "UI",  # SOP Class UID
    0x00080018: "UI",  # SOP Instance UID
    0x00080020: "DA",  # Study Date
    0x00080021: "DA",  # Series Date
    0x00080022: "DA",  # Acquisition Date
    0x00080023: "DA",  # Content Date
    0x00080030: "TM",  # Study Time
    0x00080031: "TM",  # Series Time
    0x00080032: "TM",  # Acquisition Time
    0x00080033: "TM",  # Content Time
    0x00080050: "SH",  # Accession Number
    0x00080060: "CS",  # Modality
    0x00080070: "LO",  # Manufacturer
    0x00080080: "LO",  # Institution Name
    0x00080090: "PN",  # Referring Physician's Name
    0x00081010: "SH",  # Station Name
    0x00081030: "LO",  # Study Description
    0x0008103E: "LO",  # Series Description
    0x00100010: "PN",  # Patient's Name
    0x00100020: "LO",  # Patient ID
    0x00100021: "LO",  # Issuer of Patient ID
    0x00100030: "DA",  # Patient's Birth Date
    0x00100040: "CS",  # Patient's Sex
    0x00180015: "CS",  # Body Part Examined
    0x00180050: "DS",  # Slice Thickness
    0x00181030: "LO",  # Protocol Name
    0x0020000D: "UI",  # Study Instance UID
    0x0020000E: "UI",  # Series Instance UID
    0x00200010: "SH",  # Study ID
    0x00200011: "IS",  # Series Number
    0x00200012: "IS",  # Acquisition Number
    0x00200013: "IS",  # Instance Number
    0x00200032: "DS",  # Image Position (Patient)
    0x00200037: "DS",  # Image Orientation (Patient)
    0x00200052: "UI",  # Frame of Reference UID
    0x00201041: "DS",  # Slice Location
    0x00280002: "US",  # Samples per Pixel
    0x00280004: "CS",  # Photometric Interpretation
    0x00280008: "IS",  # Number of Frames
    0x00280010: "US",  # Rows
    0x00280011: "US",  # Columns
    0x00280100: "US",  # Bits Allocated
    0x00280101: "US",  # Bits Stored
    0x00280103: "US",  # Pixel Representation
}
"""The elements kept, with their value representations (PS3.6)."""

STUDY_INSTANCE_UID: Final = "0020000D"
SERIES_INSTANCE_UID: Final = "0020000E"
SOP_INSTANCE_UID: Final = "00080018"

Json = dict[str, dict[str, Any]]
"""The DICOM JSON model of a data set: tag in hexadecimal → {"vr": …, "Value": […]}."""


def attributes_of(header: Header) -> Json:
    """The attributes that a header has, in DICOM JSON; those absent are left out."""
    charsets = header.elements.original_character_set
    encodings = [charsets] if isinstance(charsets, str) else list(charsets)
    found: Json = {}
    for tag, vr in KEYS.items():
        # keep_deferred: else pydicom converts empty values, and raises if their VR is unknown
        element = header.elements.get_item(BaseTag(tag), keep_deferred=True)
        if not isinstance(element, RawDataElement):
            continue
        raw = element.value or b""
        if len(raw) > VALUE_BYTES:
            continue
        values = _values(vr, raw, encodings, header.little_endian)
        found[f"{tag:08X}"] = {"vr": vr, "Value": values} if values else {"vr": vr}
    return found


def first_text(attributes: Json, tag: str) -> str | None:
    """The first value of an attribute if it is a text that is not empty."""
    value = next(iter(attributes.get(tag, {}).get("Value", [])), None)
    return value if isinstance(value, str) and value else None


def first_number(attributes: Json, tag: str) -> int | None:
    """The first value of an attribute if it is a whole number."""
    value = next(iter(attributes.get(tag, {}).get("Value", [])), None)
    return value if isinstance(value, int) else None


def dump(attributes: Json) -> bytes:
    """Attributes as compact JSON in UTF-8."""
    return json.dumps(attributes, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "replace"
    )


def load(raw: bytes) -> Json:
    """The attributes that `dump` gave.

    Raises:
        ValueError: not JSON, or not an object of objects.
    """
    try:
        attributes = json.loads(raw)
    except RecursionError as error:
        raise ValueError("JSON nested too deep") from error
    if not isinstance(attributes, dict) or not all(
        isinstance(value, dict) for value in attributes.values()
    ):
        raise ValueError("not the DICOM JSON model")
    return attributes


def _values(vr: str, raw: bytes, encodings: Sequence[str], little: bool) -> list[Any]:
    if vr == "US":
        count = len(raw) // 2
        return list(struct.unpack(f"{'<' if little else '>'}{count}H", raw[: 2 * count]))
    text = _text(vr, raw, encodings).strip(" \0")
    if not text:
        return []
    convert = _CONVERT.get(vr, str)
    return [convert(part.strip(" \0")) if part.strip(" \0") else None for part in text.split("\\")]


def _text(vr: str, raw: bytes, encodings: Sequence[str]) -> str:
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii")
    delimiters = PN_DELIMS | {ord("="), ord("\\")} if vr == "PN" else TEXT_VR_DELIMS | {ord("\\")}
    return decode_bytes(raw, list(encodings), delimiters)


def _name(text: str) -> dict[str, str]:
    groups = ("Alphabetic", "Ideographic", "Phonetic")
    return {group: part for group, part in zip(groups, text.split("="), strict=False) if part}


def _integer(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text


def _decimal(text: str) -> float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


_CONVERT: Final[dict[str, Callable[[str], Any]]] = {"PN": _name, "IS": _integer, "DS": _decimal}
