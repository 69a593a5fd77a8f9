"""The frame header before a codestream: all that decoding needs and the codestream cannot say.

A frame x of the data set becomes u = (x - offset) mod 2^bits, which is what the codec
sees; so the decoder need not know of signs. Where the samples lie, their order of
bytes, and what of u a viewer shows are here as well (docs/formats.md).
"""

from __future__ import annotations

import struct
from typing import Final

from attrs import frozen

from p2pacs.errors import CodingError

FORM_BYTES: Final = 20
_FORM: Final = struct.Struct(">BBHHHiiI")
_VERSION: Final = 1

IMAGE_BYTES: Final = 64 * 1024 * 1024
"""Larger frames are not coded as images: several copies of a frame are in memory at once.
Mammography and radiography stay below 50 MB."""

_WIDE: Final = 1
_COLOUR: Final = 2
_PLANAR: Final = 4
_BIG_ENDIAN: Final = 8
_INVERTED: Final = 16
_YBR: Final = 32
_LOSSY: Final = 64
_FLAGS: Final = 127


@frozen
class Form:
    """The fields of a frame header."""

    rows: int
    columns: int
    samples: int
    """1 or 3."""
    bits: int
    """Bits allocated, 8 or 16."""
    planar: bool = False
    big_endian: bool = False
    inverted: bool = False
    """For showing: the lowest value is white (MONOCHROME1)."""
    ybr: bool = False
    """For showing: the three samples are YBR_FULL."""
    lossy: bool = False
    """A preview: it never decodes as a frame."""
    offset: int = 0
    """What was subtracted, modulo 2^bits."""
    low: int = 0
    """For showing: u at or below which all is black."""
    high: int = 0
    """For showing: u at or above which all is white; where this is not above ``low`` the window
    is to be found from the values."""
    check: int = 0
    """CRC-32 of the frame, 0 for a preview: to the codecs a flipped bit is just another value."""

    @property
    def size(self) -> int:
        """Bytes of the decoded frame."""
        return self.rows * self.columns * self.samples * (self.bits // 8)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array that a codec decodes to: (rows, columns) or (rows, columns, 3)."""
        plane = (self.rows, self.columns)
        return plane if self.samples == 1 else (*plane, self.samples)

    def pack(self) -> bytes:
        """The header's bytes."""
        flags = (
            _WIDE * (self.bits == 16)
            | _COLOUR * (self.samples == 3)
            | _PLANAR * self.planar
            | _BIG_ENDIAN * self.big_endian
            | _INVERTED * self.inverted
            | _YBR * self.ybr
            | _LOSSY * self.lossy
        )
        fields = (self.rows, self.columns, self.offset, self.low, self.high, self.check)
        return _FORM.pack(_VERSION, flags, *fields)


def read_form(coded: bytes) -> Form:
    """The header that a coded frame begins with.

    Raises:
        CodingError: too short, of another version, or an image that has no or too many samples.
    """
    if len(coded) < FORM_BYTES:
        raise CodingError("a coded frame is shorter than its header")
    version, flags, rows, columns, offset, low, high, check = _FORM.unpack_from(coded)
    if version != _VERSION or flags & ~_FLAGS:
        raise CodingError("a coded frame has a header of unknown form: update p2pacs")
    form = Form(
        rows=rows,
        columns=columns,
        samples=3 if flags & _COLOUR else 1,
        bits=16 if flags & _WIDE else 8,
        planar=bool(flags & _PLANAR),
        big_endian=bool(flags & _BIG_ENDIAN),
        inverted=bool(flags & _INVERTED),
        ybr=bool(flags & _YBR),
        lossy=bool(flags & _LOSSY),
        offset=offset,
        low=low,
        high=high,
        check=check,
    )
    if not 0 < form.size <= IMAGE_BYTES:
        raise CodingError("a coded frame declares no samples, or more than a frame may have")
    if offset >> form.bits:
        raise CodingError("a coded frame declares an offset beyond its bits")
    return form
