"""A whole header as the DICOM JSON model (PS3.18 F): metadata, as DICOMweb calls it.

Every element is there, private ones too; what is no text and no number is inline in Base64, and
pixel data are a link. What cannot be understood is inline as its bytes: nothing is left out.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Final, TypeAlias

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from p2pacs.dataset.elements import (
    CHARACTER_SET,
    UTF8,
    converted_entry,
    from_dataset,
    raw_entry,
    usual_vr,
)
from p2pacs.dataset.header import DEFLATED, Header
from p2pacs.dataset.json_model import DEPTH, Json, entry, number, with_numbers
from p2pacs.dataset.unreadable import UNREADABLE
from p2pacs.dataset.vocabulary import tag, vr_of

_PIXELS: Final = {
    b"\xe0\x7f\x08\x00": ("7FE00008", "OF"),
    b"\xe0\x7f\x09\x00": ("7FE00009", "OD"),
    b"\xe0\x7f\x10\x00": ("7FE00010", "OW"),
}
"""Elements of pixel data, little endian."""

_ROWS: Final = 0x00280010
_PIXEL_REPRESENTATION: Final = tag("PixelRepresentation")


def metadata_of(header: Header, data: bytes, transfer_syntax_uid: str, bulk: str) -> Json:
    """All elements of a header.

    Args:
        header: read from ``data``.
        data: a data set, at least up to the value of its pixel data.
        transfer_syntax_uid: what it is in.
        bulk: URL below which bulk data are found by their tag.
    """
    signed = _is_signed(header.elements)
    found = _elements(header.elements, 0, signed=signed)
    found[CHARACTER_SET] = entry("CS", UTF8)
    if (pixels := _pixels(header, data, transfer_syntax_uid)) is not None:
        key, vr = pixels
        found[key] = {"vr": vr, "BulkDataURI": f"{bulk}/{key}"}
    return {key: found[key] for key in sorted(found)}


_Same: TypeAlias = tuple[int, str | None, bytes | None, bool, tuple[str, ...], bool]
"""Tag, VR, value, byte order, character sets, and whether what may be either is signed: elements
that have all of them in common are told in the same words."""

_SAME_BYTES: Final = 4096
"""Of a value that is remembered ..."""
_SAME: Final = 4096
"""... and how many of them: a CT has 100 elements, and 10 of them in every slice anew."""


class MetadataWriter:
    """`metadata_of` as JSON texts, of many instances: most of their elements are the same, and are
    written once. For one thread at a time."""

    def __init__(self) -> None:
        self._written: dict[_Same, str] = {}

    def text(self, header: Header, data: bytes, transfer_syntax_uid: str, bulk: str) -> str:
        """An object; the arguments as `metadata_of` has them."""
        dataset = header.elements
        signed, charsets = _is_signed(dataset), _charsets(dataset)
        found = {CHARACTER_SET: _json(entry("CS", UTF8))}
        for key in sorted(dataset.keys()):
            at = BaseTag(key)
            name = f"{int(at):08X}"
            if at.element and name != CHARACTER_SET:
                found[name] = self._element(dataset, at, charsets, signed=signed)
        if (pixels := _pixels(header, data, transfer_syntax_uid)) is not None:
            name, vr = pixels
            found[name] = _json({"vr": vr, "BulkDataURI": f"{bulk}/{name}"})
        return "{" + ",".join(f'"{name}":{found[name]}' for name in sorted(found)) + "}"

    def _element(
        self, dataset: Dataset, at: BaseTag, charsets: tuple[str, ...], *, signed: bool
    ) -> str:
        raw = dataset.get_item(at, keep_deferred=True)
        if not isinstance(raw, RawDataElement) or len(raw.value or b"") > _SAME_BYTES:
            return _json(_element(dataset, at, 0, signed=signed))
        same = int(at), raw.VR, raw.value, raw.is_little_endian, charsets, signed
        written = self._written.get(same)
        if written is None:
            written = _json(_element(dataset, at, 0, signed=signed))
            if len(self._written) < _SAME:
                self._written[same] = written
        return written


def _charsets(dataset: Dataset) -> tuple[str, ...]:
    said = dataset.original_character_set
    return (said,) if isinstance(said, str) else tuple(said)


def _json(told: dict[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def _is_signed(dataset: Dataset) -> bool:
    """Whether what may be US or SS is SS where the data set does not say (Implicit VR)."""
    told = from_dataset(dataset, [_PIXEL_REPRESENTATION])
    return number(told, _PIXEL_REPRESENTATION) == 1


def _pixels(header: Header, data: bytes, transfer_syntax_uid: str) -> tuple[str, str] | None:
    """Tag and VR of the pixel data that follow a header; None where there are none."""
    if transfer_syntax_uid == DEFLATED:  # what follows is not looked for there
        return _PIXELS[b"\xe0\x7f\x10\x00"] if _ROWS in header.elements else None
    if header.pixels_at is None:
        return None
    for back in (12, 8):  # explicit and implicit VR (PS3.5 7.1)
        at = data[header.pixels_at - back : header.pixels_at - back + 4]
        if not header.little_endian:
            at = at[1::-1] + at[:1:-1]
        if at in _PIXELS:
            return _PIXELS[at]
    return None


def _elements(dataset: Dataset, depth: int, *, signed: bool = False) -> Json:
    found: Json = {}
    for key in sorted(dataset.keys()):
        at = BaseTag(key)
        if at.element:  # no group lengths (PS3.18 F.2.1)
            found[f"{int(at):08X}"] = _element(dataset, at, depth, signed=signed)
    return found


def _element(dataset: Dataset, at: BaseTag, depth: int, *, signed: bool) -> dict[str, Any]:
    element = dataset.get_item(at, keep_deferred=True)
    vr = _vr(element, at, signed=signed)
    try:
        if vr == "SQ" and depth < DEPTH:
            items = dataset[at].value or ()
            return entry("SQ", *(_elements(item, depth + 1, signed=signed) for item in items))
        if isinstance(element, RawDataElement):
            told = raw_entry(dataset, element, vr)
        else:  # pydicom has looked at it before
            told = converted_entry(element, depth)
        if told is not None:
            return with_numbers(told)
    except (ValueError, *UNREADABLE):
        vr = "UN"
    return _inline(element, vr)


def _vr(element: RawDataElement | DataElement, at: BaseTag, *, signed: bool) -> str:
    said = element.VR and str(element.VR)
    if said in (None, "UN") and at.is_private_creator:
        return "LO"
    if said is None and signed and dictionary_has_tag(at) and dictionary_VR(at) == "US or SS":
        return "SS"
    return usual_vr(said, vr_of(f"{int(at):08X}"))[:2]


def _inline(element: RawDataElement | DataElement, vr: str) -> dict[str, Any]:
    """An element whose value is bytes to us."""
    value = element.value
    if not isinstance(value, bytes) or not value:
        return {"vr": vr}
    width = _WIDTHS.get(vr, 1)
    is_little = not isinstance(element, RawDataElement) or element.is_little_endian
    if width > 1 and not is_little and not len(value) % width:
        value = b"".join(value[at : at + width][::-1] for at in range(0, len(value), width))
    return {"vr": vr, "InlineBinary": base64.b64encode(value).decode("ascii")}


_WIDTHS: Final = {"OW": 2, "OL": 4, "OF": 4, "OD": 8, "OV": 8}
"""Bytes of the words of a VR: inline they are little endian (PS3.18 F.2.7)."""
