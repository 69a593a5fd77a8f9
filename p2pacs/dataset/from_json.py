"""The JSON model as data sets: what an answer to C-FIND is made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.valuerep import format_number_as_ds

from p2pacs.dataset.elements import UTF8
from p2pacs.dataset.json_model import Json, texts

_NO_NUMBER: Final = (ValueError, TypeError, OverflowError)
"""What pydicom raises on a text of IS or DS that is none."""


def to_dataset(attributes: Json) -> Dataset:
    """A data set of these attributes, in UTF-8 (and saying so) if ASCII is not enough."""
    dataset = _dataset(attributes)
    if not all(_is_ascii(entry.get("Value", ())) for entry in attributes.values()):
        dataset.SpecificCharacterSet = UTF8
    return dataset


def _dataset(attributes: Json) -> Dataset:
    dataset = Dataset()
    for key in attributes:
        dataset.add(_element(key, attributes))
    return dataset


def _element(key: str, attributes: Json) -> DataElement:
    entry = attributes[key]
    vr, values = entry["vr"], entry.get("Value", [])
    if vr == "SQ":
        items = [_dataset(item) for item in values if item]
        return DataElement(Tag(key), vr, Sequence(items))
    if vr == "PN":
        converted: list[Any] = texts(attributes, key)
    else:
        converted = [_value(value, vr) for value in values]
    single = converted[0] if len(converted) == 1 else converted or None
    try:
        return DataElement(Tag(key), vr, single, validation_mode=config.IGNORE)
    except _NO_NUMBER:  # what the PACS said goes on, if it is no number either
        return DataElement(Tag(key), vr, single, already_converted=True)


def _value(value: Any, vr: str) -> Any:
    if value is None:
        return ""
    if vr == "AT":
        return int(value, 16)
    if vr == "DS" and isinstance(value, float):
        return format_number_as_ds(value)
    return str(value) if vr in ("DS", "IS") else value


def _is_ascii(values: Iterable[Any]) -> bool:
    for value in values:
        if isinstance(value, str) and not value.isascii():
            return False
        if isinstance(value, dict) and not _is_ascii(_leaves(value)):
            return False
    return True


def _leaves(value: dict[str, Any]) -> list[Any]:
    """Component groups of a name, or the values in an item of a sequence."""
    found: list[Any] = []
    for leaf in value.values():
        found.extend(leaf.get("Value", ()) if isinstance(leaf, dict) else [leaf])
    return found
