"""The elements of an encoded data set and where they lie, without decoding a value (PS3.5 7).

pydicom reads values, and writes what it understood of them; here every byte of a value has to
stay, whatever it means. So only tags, VRs and lengths are read, and sequences as far as needed.
"""

from __future__ import annotations

import struct
from typing import Final

from attrs import evolve, frozen

from p2pacs.errors import TranscodingError
from p2pacs.limits import SEQUENCE_DEPTH
from p2pacs.transcode.syntaxes import Encoding
from p2pacs.transcode.vrs import LONG, SHORT, implied_vr

UNDEFINED: Final = 0xFFFFFFFF
PIXEL_DATA: Final = 0x7FE00010

_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD

_PIXEL_REPRESENTATION: Final = 0x00280103
_BITS_ALLOCATED: Final = 0x00280100

IMPLICIT: Final = Encoding(implicit=True)

_VRS: Final = LONG | SHORT
_LAYOUTS: Final = {
    True: (struct.Struct("<HH"), struct.Struct("<H"), struct.Struct("<I")),
    False: (struct.Struct(">HH"), struct.Struct(">H"), struct.Struct(">I")),
}


@frozen
class SequenceItem:
    """An item of a sequence, or the data set itself."""

    elements: tuple[Element, ...]
    encoding: Encoding
    undefined: bool = False
    """Its length is; it has a delimiter."""

    def find(self, tag: int) -> Element | None:
        """An element of it, not of what is nested in it."""
        return next((element for element in self.elements if element.tag == tag), None)


@frozen
class Element:
    """An element: ``data[start:end]``, its value ``data[value:value_end]``."""

    tag: int
    vr: str
    """Empty in Implicit VR."""
    start: int
    value: int
    value_end: int
    """Without a delimiter."""
    end: int
    items: tuple[SequenceItem, ...] | None = None
    """Of a sequence that was read; of others None."""
    undefined: bool = False
    """Its length is: a sequence, or encapsulated pixel data."""

    @property
    def encapsulated(self) -> bool:
        """It holds fragments (PS3.5 A.4)."""
        return self.undefined and self.items is None


def read_elements(data: bytes, encoding: Encoding, *, deep: bool) -> SequenceItem:
    """The elements of a data set.

    Args:
        data: the data set.
        encoding: of it.
        deep: whether sequences of defined length are read, too, in Explicit VR.

    Raises:
        TranscodingError: it is no data set in that encoding, or breaks off.
    """
    if not encoding.implicit and encoding.little and not _has_vr(data, 0):
        encoding = IMPLICIT  # wrong, and found: in Explicit VR it says, in Implicit it is
    try:
        elements, _ = _Reader(data, deep).level(0, len(data), encoding, 0)
    except struct.error as error:
        raise TranscodingError("its data set breaks off within an element") from error
    return SequenceItem(elements, encoding)


class _Reader:
    def __init__(self, data: bytes, deep: bool) -> None:
        self._data = data
        self._deep = deep

    def level(
        self, at: int, end: int | None, encoding: Encoding, depth: int
    ) -> tuple[tuple[Element, ...], int]:
        """Elements up to ``end``, or up to and with an item delimiter; and where they end."""
        if depth > SEQUENCE_DEPTH:
            raise TranscodingError("its sequences are nested too deep")
        found: list[Element] = []
        least = len(self._data) if end is None else end
        while end is None or at < end:
            tag = self._tag(at, encoding)
            if tag == _ITEM_END and end is None:
                return tuple(found), at + 8
            element = self._element(tag, at, least, encoding, depth)
            found.append(element)
            at = element.end
        return tuple(found), at

    def _tag(self, at: int, encoding: Encoding) -> int:
        group, number = _LAYOUTS[encoding.little][0].unpack_from(self._data, at)
        return int(group) << 16 | int(number)

    def _element(self, tag: int, at: int, end: int, encoding: Encoding, depth: int) -> Element:
        if tag >> 16 == 0xFFFE:
            raise TranscodingError("an item or a delimiter is where an element should be")
        vr, value, length = self._head(at, encoding)
        if length == UNDEFINED:
            return self._undefined(Element(tag, vr, at, value, value, value), encoding, depth)
        stop = value + length
        if stop > end:
            raise TranscodingError("its data set breaks off within a value")
        items = None
        if self._is_read(tag, vr):
            items, _ = self._sequence(value, stop, encoding, depth)
        return Element(tag, vr, at, value, stop, stop, items)

    def _head(self, at: int, encoding: Encoding) -> tuple[str, int, int]:
        """VR, where the value begins, and its declared length."""
        _, short, long = _LAYOUTS[encoding.little]
        if encoding.implicit:
            return "", at + 8, long.unpack_from(self._data, at + 4)[0]
        vr = self._data[at + 4 : at + 6].decode("latin-1")
        if vr in LONG:
            return vr, at + 12, long.unpack_from(self._data, at + 8)[0]
        if vr in SHORT:
            return vr, at + 8, short.unpack_from(self._data, at + 6)[0]
        raise TranscodingError("an element has a VR that DICOM does not have")

    def _is_read(self, tag: int, vr: str) -> bool:
        """Whether an element of defined length is a sequence that has to be read."""
        if vr:
            return vr == "SQ" and self._deep
        return implied_vr(tag, signed=False, wide=False) == "SQ"

    def _undefined(self, begun: Element, encoding: Encoding, depth: int) -> Element:
        """An element of undefined length of which all but the end is known."""
        if begun.tag == PIXEL_DATA and begun.vr in ("OB", "OW", ""):
            end = self._fragments(begun.value, encoding)
            return evolve(begun, value_end=end - 8, end=end, undefined=True)
        if begun.vr not in ("", "SQ", "UN"):
            raise TranscodingError("an element of undefined length is no sequence")
        if begun.vr == "UN":
            encoding = self._unknown(begun.value)
        items, end = self._sequence(begun.value, None, encoding, depth)
        return evolve(begun, value_end=end - 8, end=end, items=items, undefined=True)

    def _unknown(self, at: int) -> Encoding:
        """What a sequence in UN is in: Implicit VR Little Endian (PS3.5 6.2.2, note 2), or, wrong
        and found, what the data set is in; that only in Little Endian, so as not to guess."""
        return Encoding() if _has_vr(self._data, at + 8) else IMPLICIT

    def _sequence(
        self, at: int, end: int | None, encoding: Encoding, depth: int
    ) -> tuple[tuple[SequenceItem, ...], int]:
        """Items up to ``end``, or up to and with a sequence delimiter; and where they end."""
        _, _, long = _LAYOUTS[encoding.little]
        items: list[SequenceItem] = []
        while end is None or at < end:
            tag = self._tag(at, encoding)
            (length,) = long.unpack_from(self._data, at + 4)
            at += 8
            if tag == _SEQUENCE_END and end is None:
                return tuple(items), at
            if tag != _ITEM:
                raise TranscodingError("a sequence has something other than items")
            undefined = length == UNDEFINED
            if not undefined and at + length > (len(self._data) if end is None else end):
                raise TranscodingError("its data set breaks off within a sequence")
            elements, at = self.level(at, None if undefined else at + length, encoding, depth + 1)
            items.append(SequenceItem(elements, encoding, undefined))
        return tuple(items), at

    def _fragments(self, at: int, encoding: Encoding) -> int:
        """Where fragments end, with their delimiter."""
        _, _, long = _LAYOUTS[encoding.little]
        while True:
            tag = self._tag(at, encoding)
            (length,) = long.unpack_from(self._data, at + 4)
            at += 8
            if tag == _SEQUENCE_END:
                return at
            if tag != _ITEM or length == UNDEFINED or at + length > len(self._data):
                raise TranscodingError("its pixel data break off")
            at += length


def _has_vr(data: bytes, at: int) -> bool:
    """Whether the element that begins ``at`` is in Explicit VR."""
    return data[at + 4 : at + 6].decode("latin-1") in _VRS


def number_of(data: bytes, item: SequenceItem, tag: int) -> int | None:
    """An element of one US value; None where there is none such."""
    element = item.find(tag)
    if element is None or element.value_end - element.value != 2:
        return None
    order = "little" if item.encoding.little else "big"
    return int.from_bytes(data[element.value : element.value_end], order)  # type: ignore[arg-type]


def sample_bits(data: bytes, item: SequenceItem, unknown: int = 0) -> int:
    """Bits Allocated of an item, or what counts where it does not say."""
    bits = number_of(data, item, _BITS_ALLOCATED)
    return unknown if bits is None else bits


def sample_sign(data: bytes, item: SequenceItem, unknown: bool = False) -> bool:
    """Whether the samples of an item are signed, or what counts where it does not say."""
    representation = number_of(data, item, _PIXEL_REPRESENTATION)
    return unknown if representation is None else representation == 1
