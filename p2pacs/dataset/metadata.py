"""A whole header as the DICOM JSON model (PS3.18 F): metadata, as DICOMweb calls it.

Every element is there, private ones too; what is no text and no number is inline in Base64, and
pixel data are a link. What cannot be understood is inline as its bytes: nothing is left out.
"""

from __future__ import annotations

import base64
import json
from bisect import bisect
from collections.abc import Sequence, Set
from typing import Any, Final, TypeAlias, cast

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
from p2pacs.dataset.header import (
    DEFLATED,
    Header,
    read_header,
    required_header,
)
from p2pacs.dataset.json_model import DEPTH, Json, entry, number, with_numbers
from p2pacs.dataset.spans import Spans, find_spans
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


_PIXEL_NAMES: Final = {int(name, 16): (name, vr) for name, vr in _PIXELS.values()}

_CHARACTER_SET: Final = int(CHARACTER_SET, 16)
_CONTEXT: Final = frozenset({_CHARACTER_SET, int(_PIXEL_REPRESENTATION, 16)})

_ODD: Final = 0x00010000
"""Of the tags of private elements; the last two bytes of their creators' are below 0100 (PS3.5
7.8.1)."""

_SAME_BYTES: Final = 4096
"""Of an element that is remembered ..."""
_SAME: Final = 4096
"""... and how many of them: a CT has 100 elements, and 10 of them in every slice anew."""

_Context: TypeAlias = tuple[str | bytes, ...]
"""The transfer syntax, and the elements on which it depends what others mean."""


class MetadataWriter:
    """`metadata_of` as JSON texts, of many instances. For one thread at a time.

    Most of their elements are the same, byte for byte. Those are neither read nor written again,
    but found by their bytes: to read and write the headers of 300 slices took half a second, before
    which a viewer shows nothing.
    """

    def __init__(self) -> None:
        self._written: dict[_Context, dict[bytes, str]] = {}
        self._count = 0

    def text(self, data: bytes, transfer_syntax_uid: str, bulk: str) -> str:
        """An object; the arguments as `metadata_of` has them.

        Raises:
            BrokenInstanceError: the header cannot be read.
        """
        spans = find_spans(data, transfer_syntax_uid)
        texts = None if spans is None else self._texts(data, spans, transfer_syntax_uid)
        if spans is None or texts is None:
            header = required_header(data, transfer_syntax_uid)
            return _json(metadata_of(header, data, transfer_syntax_uid, bulk))
        if spans.pixels is not None:
            name, vr = _PIXEL_NAMES[spans.pixels]
            texts.append(f'"{name}":' + _json({"vr": vr, "BulkDataURI": f"{bulk}/{name}"}))
        return "{" + ",".join(filter(None, texts)) + "}"

    def _texts(self, data: bytes, spans: Spans, syntax: str) -> list[str] | None:
        """Of each element its name and what it says, in order; None if they cannot be read."""
        tags, raw = spans.tags, spans.cut(data)
        told = (one for tag, one in zip(tags, raw, strict=True) if tag in _CONTEXT)
        written = self._written.setdefault((syntax, *told), {})
        texts = [written.get(one) for one in raw]
        if None in texts:
            new = [at for at, text in enumerate(texts) if text is None]
            read = _read(tags, raw, set(new), syntax)
            if read is None:
                return None
            signed = _is_signed(read)
            for at in new:
                texts[at] = text = _named(read, tags[at], signed=signed)
                if len(raw[at]) <= _SAME_BYTES and self._count < _SAME:
                    written[raw[at]] = text
                    self._count += 1
        if _CHARACTER_SET not in tags:
            texts.insert(bisect(tags, _CHARACTER_SET), _TOLD_IN_UTF8)
        return cast("list[str]", texts)


def _read(tags: Sequence[int], raw: Sequence[bytes], new: Set[int], syntax: str) -> Dataset | None:
    """A data set of the new elements, and of those that tell what they mean."""
    is_private = any(tags[at] & _ODD for at in new)
    some = (
        one
        for at, (tag, one) in enumerate(zip(tags, raw, strict=True))
        if at in new or tag in _CONTEXT or (is_private and tag & _ODD and not tag & 0xFF00)
    )
    header = read_header(b"".join(some), syntax)
    found = None if header is None else header.elements
    return found if found is not None and all(tags[at] in found for at in new) else None


def _named(dataset: Dataset, number: int, *, signed: bool) -> str:
    at = BaseTag(number)
    if not at.element:  # no group lengths (PS3.18 F.2.1)
        return ""
    if number == _CHARACTER_SET:
        return _TOLD_IN_UTF8
    return f'"{number:08X}":' + _json(_element(dataset, at, 0, signed=signed))


def _json(told: dict[str, Any]) -> str:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


_TOLD_IN_UTF8: Final = f'"{CHARACTER_SET}":' + _json(entry("CS", UTF8))


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
