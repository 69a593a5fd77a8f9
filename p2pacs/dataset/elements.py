"""Elements of a data set as the DICOM JSON model, without believing them.

Values that are still encoded are decoded here, not by pydicom's own conversion: that warns with
the offending value (patient data), takes IS and DS for numbers, and costs more than all the rest.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from pydicom.charset import decode_bytes
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

from p2pacs.dataset.header import Header
from p2pacs.dataset.json_model import DEPTH, SINGLE_VRS, Json, entry, name_groups, separated
from p2pacs.dataset.unreadable import UNREADABLE
from p2pacs.dataset.vocabulary import HEADER_TAGS, NUMBER_FORMATS, TEXT_VRS, tag, vr_of

VALUE_BYTES: Final = 10_240
"""Values longer than this (LT's maximum) are no search keys, whatever their element says."""

_SEQUENCE_BYTES: Final = 64 * 1024
"""An encoded sequence that is a key has a few items of a few codes; a longer one is left out."""

_ITEMS: Final = 64
"""Items of a sequence that is a key; of a longer one the first."""

UTF8: Final = "ISO_IR 192"
CHARACTER_SET: Final = tag("SpecificCharacterSet")


def attributes_of(header: Header) -> Json:
    """What the index says of an instance: the attributes of the vocabulary that its header has.

    Its character set says UTF-8, as all text is here. Indexes of version 0.1 say none, and hold
    fewer attributes (`peer.gateway.studies.instances`).
    """
    found = from_dataset(header.elements, HEADER_TAGS)
    found[CHARACTER_SET] = entry("CS", UTF8)
    return {key: found[key] for key in sorted(found)}


def from_dataset(dataset: Dataset, tags: Iterable[str], depth: int = 0) -> Json:
    """The attributes of a data set that are among ``tags``.

    Binary ones, and ones whose bytes are no value of their VR, are left out.
    """
    attributes: Json = {}
    for key in tags:
        try:
            found = read_element(dataset, key, depth)
        except ValueError:
            continue
        if found is not None:
            attributes[key] = found
    return attributes


def read_element(dataset: Dataset, key: str, depth: int = 0) -> dict[str, Any] | None:
    """One attribute of a data set, or None if it is absent, binary, or too long for a key.

    Raises:
        ValueError: its bytes are no value of its VR.
    """
    number = _number(key)
    held = dataset.keys()  # a data set's own ``in`` is ten times slower
    if number not in held:
        return None
    # keep_deferred: else pydicom converts empty values, and raises if their VR is unknown
    element = dataset.get_item(number, keep_deferred=True)
    try:
        if isinstance(element, RawDataElement):
            return _raw(dataset, element, key, depth)
        return converted_entry(element, depth)
    except UNREADABLE as error:
        raise ValueError(f"({key[:4]},{key[4:]}) is no value of its VR") from error


@lru_cache(maxsize=4096)
def _number(key: str) -> BaseTag:
    return BaseTag(int(key, 16))


# ---------------------------------------------------------------- still encoded


def _raw(dataset: Dataset, element: RawDataElement, key: str, depth: int) -> dict[str, Any] | None:
    vr = usual_vr(element.VR, vr_of(key))
    raw = element.value or b""
    if len(raw) > (_SEQUENCE_BYTES if vr == "SQ" else VALUE_BYTES):
        return None
    if vr == "SQ":
        return converted_entry(dataset[_number(key)], depth) if raw else entry("SQ")
    return raw_entry(dataset, element, vr)


def raw_entry(dataset: Dataset, element: RawDataElement, vr: str) -> dict[str, Any] | None:
    """A value that is still encoded, read as one of this VR; None if that is neither text nor
    numbers.

    Raises:
        Exception: one of `UNREADABLE`: it is none.
    """
    raw = element.value or b""
    if vr in TEXT_VRS:
        charsets = dataset.original_character_set
        encodings = [charsets] if isinstance(charsets, str) else list(charsets)
        return entry(vr, *_texts(vr, _decoded(vr, raw, encodings)))
    if vr == "AT":
        halves = _numbers("US", raw, little=element.is_little_endian)
        pairs = zip(halves[::2], halves[1::2], strict=True)
        return entry(vr, *(f"{group:04X}{number:04X}" for group, number in pairs))
    if vr in NUMBER_FORMATS:
        return entry(vr, *_numbers(vr, raw, little=element.is_little_endian))
    return None


def usual_vr(said: str | None, usual: str | None) -> str:
    """The data dictionary's, unless the data set says one that is encoded otherwise."""
    if said is None or usual is None:
        return usual or said or "UN"
    if said in NUMBER_FORMATS or (said in TEXT_VRS and usual not in TEXT_VRS):
        return said
    return usual


def _numbers(vr: str, raw: bytes, *, little: bool) -> tuple[Any, ...]:
    layout = struct.Struct(("<" if little else ">") + NUMBER_FORMATS[vr])
    return tuple(number for (number,) in layout.iter_unpack(raw))


def _decoded(vr: str, raw: bytes, encodings: Sequence[str]) -> str:
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii")
    delimiters = PN_DELIMS | {ord("="), ord("\\")} if vr == "PN" else TEXT_VR_DELIMS | {ord("\\")}
    return decode_bytes(raw, list(encodings), delimiters)


def _texts(vr: str, text: str) -> list[Any]:
    parts = [text] if vr in SINGLE_VRS else separated(vr, text.strip(" \0"))
    convert: Callable[[str], Any] = name_groups if vr == "PN" else str
    values = (part.strip(" \0") for part in parts)
    return [convert(value) if value else None for value in values]


# ---------------------------------------------------------------- converted by pydicom


def converted_entry(element: DataElement, depth: int) -> dict[str, Any] | None:
    """The same of a value that is decoded."""
    vr = element.VR[:2]  # "US or SS": pydicom could not tell which
    values = element.value
    many = isinstance(values, MultiValue | list) or vr == "SQ"
    items: Sequence[Any] = values if many else [] if values is None else [values]
    if vr == "SQ":
        if depth >= DEPTH:
            return None
        return entry(vr, *(_item(item, depth) for item in items[:_ITEMS]))
    if vr not in TEXT_VRS and vr not in NUMBER_FORMATS and vr != "AT":
        return None
    if sum(len(str(item)) for item in items) > VALUE_BYTES:
        return None
    return entry(vr, *(_value(item, vr) for item in items))


def _item(item: Dataset, depth: int) -> Json:
    return from_dataset(item, [f"{int(key):08X}" for key in sorted(item.keys())], depth + 1)


def _value(value: Any, vr: str) -> Any:
    if vr == "AT":
        return f"{int(value):08X}"
    if isinstance(value, int | float) and vr in NUMBER_FORMATS:
        return value
    text = str(value).strip(" \0")
    return name_groups(text) if vr == "PN" else text
