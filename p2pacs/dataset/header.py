"""Reading the elements of a data set up to its pixel data, without believing it.

pydicom's reader does the work; here it is told where to stop, and every way in which
it fails on broken input becomes "not readable" (`None`), never an exception.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Final

from attrs import frozen
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag

from p2pacs.dataset.unreadable import UNREADABLE
from p2pacs.errors import BrokenInstanceError
from p2pacs.limits import HEADER_READ_BYTES, MIB

PIXEL_TAGS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float, Double Float and Pixel Data: a data set has one of them (PS3.3 C.7.6.3, C.7.6.24)."""

UNDEFINED_LENGTH: Final = 0xFFFFFFFF

EXPLICIT: Final = "1.2.840.10008.1.2.1"
"""Explicit VR Little Endian."""

DEFLATED: Final = "1.2.840.10008.1.2.1.99"
"""The same, deflated."""

IMPLICIT: Final = frozenset({"1.2.840.10008.1.2", "1.2.840.113619.5.2"})
"""Implicit VR Little Endian, and GE's with pixels in Big Endian."""

BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
"""Explicit VR Big Endian. What is in none of these is in Explicit VR Little Endian, compressed or
not."""

_INFLATED_BYTES: Final = 16 * 1024 * 1024
"""Of a deflated data set only so much is inflated, to find its attributes."""

_USUAL_BYTES: Final = MIB
"""In so much of a large data set nearly every header ends."""

_SERIES_INSTANCE_UID: Final = 0x0020000E

_ELEMENT: Final = struct.Struct("<HHL")
"""Tag and length of an element, an item or a delimiter in Implicit VR Little Endian."""

_DELIMITERS: Final = frozenset({(0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)})
"""Ends of an item and of a sequence of undefined length."""

StopWhen = Callable[[BaseTag, str | None, int], bool]
"""Told tag, VR and length of an element before its value is read."""


@frozen
class Header:
    """The elements before the pixel data, values still encoded."""

    elements: Dataset
    little_endian: bool
    pixels_at: int | None
    """Offset of the pixel data's value; None where it cannot be told."""
    pixels_length: int
    """Its declared length; `UNDEFINED_LENGTH` when encapsulated."""
    pixels_vr: str | None = None
    """Its VR; None where the transfer syntax does not say one."""


def read_header(data: bytes, transfer_syntax_uid: str) -> Header | None:
    """The header of an encoded data set, as far as it can be read; None if not at all.

    When the data set breaks off or turns into nonsense before the pixel data, the
    elements up to the Series Instance UID are tried, so that the instance still has
    its identity; ``pixels_at`` is then None.
    """
    if transfer_syntax_uid == DEFLATED:
        return _read_deflated(data)
    implicit = transfer_syntax_uid in IMPLICIT
    little = transfer_syntax_uid != BIG_ENDIAN
    found: list[tuple[int, int, str | None]] = []
    stream = io.BytesIO(data)

    def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        if int(tag) not in PIXEL_TAGS:
            return False
        found.append((stream.tell(), length, vr))
        return True

    elements = _read(stream, implicit, little, at_pixels)
    if elements is None and not little:
        stream.seek(0)
        elements = _read_around_unknown(stream, at_pixels)
    if elements is None:
        elements = _read(io.BytesIO(data), implicit, little, _after_identity)
        return None if elements is None else Header(elements, little, None, 0)
    if not found:
        return Header(elements, little, None, 0)
    return Header(elements, little, *found[-1])


def read_large_header(
    read: Callable[[int, int], bytes], size: int, transfer_syntax_uid: str
) -> Header | None:
    """As `read_header`, of a data set that is not in memory.

    Of a header of more than `HEADER_READ_BYTES` it gives the elements that lie within these.

    Args:
        read: gives these bytes of it (the first, and the one after the last).
        size: bytes of the whole data set.
        transfer_syntax_uid: what it is in.
    """
    header = None
    for most in (_USUAL_BYTES, HEADER_READ_BYTES):
        header = read_header(read(0, min(most, size)), transfer_syntax_uid)
        if size <= most or (header is not None and header.pixels_at is not None):
            break
    return header


def required_header(data: bytes, transfer_syntax_uid: str) -> Header:
    """As `read_header`.

    Raises:
        BrokenInstanceError: it cannot be read.
    """
    header = read_header(data, transfer_syntax_uid)
    if header is None:
        raise BrokenInstanceError("the header of an instance cannot be read")
    return header


def _read_deflated(data: bytes) -> Header | None:
    try:
        plain = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, _INFLATED_BYTES)
    except zlib.error:
        return None
    elements = _read(io.BytesIO(plain), False, True, _is_pixels)
    return None if elements is None else Header(elements, True, None, 0)


def _read(
    stream: io.BytesIO,
    implicit: bool,
    little: bool,
    stop_when: StopWhen,
) -> Dataset | None:
    try:
        return read_dataset(stream, implicit, little, stop_when=stop_when)
    except UNREADABLE:
        return None


def _read_around_unknown(stream: io.BytesIO, stop_when: StopWhen) -> Dataset | None:
    """A Big Endian data set with sequences in UN of undefined length, which are left out.

    Whatever the data set is in, such a sequence is in Implicit VR Little Endian (PS3.5 6.2.2,
    note 2); pydicom looks for its end in Big Endian, and reads on to the end of the file.
    """
    elements = Dataset()
    while True:
        unknown: list[int] = []

        def stop(tag: BaseTag, vr: str | None, length: int, at: list[int] = unknown) -> bool:
            if vr == "UN" and length == UNDEFINED_LENGTH:
                at.append(stream.tell())
                return True
            return stop_when(tag, vr, length)

        read = _read(stream, False, False, stop)
        if read is None:
            return None
        elements.update(read)
        if not unknown:
            return elements
        end = end_of_sequence(stream.getbuffer(), unknown[0])
        if end is None:
            return None
        stream.seek(end)


def end_of_sequence(data: bytes | memoryview, at: int) -> int | None:
    """Where a sequence of undefined length in Implicit VR Little Endian ends, which begins ``at``;
    None if it has no end."""
    depth = 1  # sequences and items that are open: counted, as recursion has a bound
    while at + _ELEMENT.size <= len(data):
        group, number, length = _ELEMENT.unpack_from(data, at)
        at += _ELEMENT.size
        if (group, number) in _DELIMITERS:
            depth -= 1
            if not depth:
                return at
        elif length == UNDEFINED_LENGTH:
            depth += 1
        else:
            at += length
    return None


def _is_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return int(tag) in PIXEL_TAGS


def _after_identity(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return int(tag) > _SERIES_INSTANCE_UID
