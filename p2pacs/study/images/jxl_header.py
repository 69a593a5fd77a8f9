"""Reading the headers of a JPEG XL codestream, before a library is let at it.

Only what our encoder writes passes: one frame, which is the image, in one pass, without
extra channels, animation, colour profiles, crops, patches, splines or upsampling; and
the lengths in its table of contents must end where the bytes end. So what decoding costs
is known from the size of the image alone. Names and order of the fields are those of
ISO/IEC 18181-1:2024 (annex D: image headers, annex F: frame header).
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from p2pacs.errors import CodingError

HEADER_BYTES: Final = 64
"""Far more than the headers take that pass: 30 bytes."""

_SIGNATURE: Final = b"\xff\x0a"

_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))

_DIMENSION: Final = ((1, 9), (1, 13), (1, 18), (1, 30))
_DEPTH: Final = ((8, 0), (10, 0), (12, 0), (1, 6))
_ENUM: Final = ((0, 0), (1, 0), (2, 4), (18, 6))
_TOC_ENTRY: Final = ((0, 10), (1024, 14), (17408, 22), (4211712, 30))

_RGB: Final = 0
_GREY: Final = 1

_SKIP_SMOOTHING: Final = 0x80
"""The one frame flag that costs and changes nothing here: no smoothing of coarse values."""


@frozen
class JxlInfo:
    """What a codestream says of its image."""

    rows: int
    columns: int
    samples: int
    """1 or 3."""
    bits: int
    """A sample; 8 or fewer decode to bytes, 16 or fewer to two bytes."""
    lossy: bool
    """Coded by cosine transform or in another colour space."""


class _Bits:
    """A reader of fields, least significant bit first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")
        self._left = len(data) * 8
        self.at = 0

    def take(self, count: int) -> int:
        """The next bits as a number."""
        if count > self._left:
            raise CodingError("a JPEG XL codestream ends within its headers")
        found = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        self.at += count
        return found

    def one_of(self, choices: tuple[tuple[int, int], ...]) -> int:
        """A field U32: two bits choose an offset and a number of bits."""
        offset, count = choices[self.take(2)]
        return offset + self.take(count)

    def long(self) -> int:
        """A field U64; values above 272, which nothing allowed has, are refused."""
        choice = self.take(2)
        if choice == 3:
            raise CodingError("a JPEG XL codestream has fields that are not allowed here")
        return (0, 1, 17)[choice] + self.take((0, 4, 8)[choice])

    def must(self, count: int, value: int, what: str) -> None:
        """Bits that may have but one value."""
        if self.take(count) != value:
            raise CodingError(f"a JPEG XL codestream has {what}, which is not allowed here")


def inspect(stream: bytes) -> JxlInfo:
    """What the headers of a codestream say.

    Args:
        stream: the codestream, whole, and nothing else.

    Raises:
        CodingError: not a codestream, one that has what is not allowed, or one that does not
            end where its table of contents says.
    """
    if stream[:2] != _SIGNATURE:
        raise CodingError("not a JPEG XL codestream")
    bits = _Bits(stream[2:HEADER_BYTES])
    rows, columns = _size(bits)
    samples, depth, xyb = _metadata(bits)
    bits.must(1, 1, "transforms of its own")
    bits.take(-bits.at % 8)
    varied, shift = _frame(bits, xyb)
    _check_end(stream, 2 * 8 + bits.at, _entries(rows, columns, 128 << shift))
    return JxlInfo(rows, columns, samples, depth, lossy=xyb or varied)


def image_size(stream: bytes) -> tuple[int, int]:
    """Rows and columns of a codestream of any kind, of which the beginning is enough.

    Raises:
        CodingError: not a codestream.
    """
    if stream[:2] != _SIGNATURE:
        raise CodingError("not a JPEG XL codestream")
    return _size(_Bits(stream[2:HEADER_BYTES]))


def _size(bits: _Bits) -> tuple[int, int]:
    """SizeHeader: rows and columns."""
    small = bits.take(1)
    rows = (bits.take(5) + 1) * 8 if small else bits.one_of(_DIMENSION)
    ratio = bits.take(3)
    if ratio:
        over, under = _RATIOS[ratio - 1]
        return rows, rows * over // under
    return rows, (bits.take(5) + 1) * 8 if small else bits.one_of(_DIMENSION)


def _metadata(bits: _Bits) -> tuple[int, int, bool]:
    """ImageMetadata: samples, bits a sample, whether the colour space is XYB."""
    if bits.take(1):  # all default
        return 3, 8, True
    bits.must(1, 0, "orientation, preview or animation")
    bits.must(1, 0, "floating point samples")
    depth = bits.one_of(_DEPTH)
    if depth > 16:
        raise CodingError("a JPEG XL codestream has more than 16 bits a sample")
    bits.take(1)  # whether 16 bits suffice for the decoder's buffers
    bits.must(2, 0, "extra channels")
    xyb = bool(bits.take(1))
    samples = _colour(bits)
    bits.must(2, 0, "extensions")
    return samples, depth, xyb


def _colour(bits: _Bits) -> int:
    """ColourEncoding: the number of samples."""
    if bits.take(1):  # all default: sRGB
        return 3
    bits.must(1, 0, "a colour profile")
    space = bits.one_of(_ENUM)
    if space not in (_RGB, _GREY):
        raise CodingError("a JPEG XL codestream has a colour space that is not allowed here")
    if bits.one_of(_ENUM) == 2 or (space == _RGB and bits.one_of(_ENUM) == 2):
        raise CodingError("a JPEG XL codestream has colours of its own")
    bits.must(1, 0, "a gamma of its own")
    bits.one_of(_ENUM)  # transfer function
    bits.one_of(_ENUM)  # rendering intent
    return 3 if space == _RGB else 1


def _frame(bits: _Bits, xyb: bool) -> tuple[bool, int]:
    """FrameHeader: whether the frame is coded by cosine transform, and its group size shift."""
    if bits.take(1):  # all default
        if not xyb:
            raise CodingError("a JPEG XL codestream has a frame that does not fit its colours")
        return True, 1
    bits.must(2, 0, "a frame that is not the image")
    varied = not bits.take(1)
    if bits.long() & ~_SKIP_SMOOTHING:
        raise CodingError("a JPEG XL codestream has patches, splines or noise")
    if not xyb:
        bits.must(1, 0, "YCbCr")
    bits.must(2, 0, "upsampling")
    shift = 1
    if not varied:
        shift = bits.take(2)
    elif xyb:
        bits.take(6)  # scales of the quantisation of X and B
    bits.must(2, 0, "several passes")
    bits.must(1, 0, "a crop")
    bits.must(2, 0, "blending")
    bits.must(1, 1, "further frames")
    bits.must(2, 0, "a name")
    _filters(bits, varied)
    bits.must(2, 0, "extensions")
    return varied, shift


def _filters(bits: _Bits, varied: bool) -> None:
    """RestorationFilter, without weights of its own."""
    if bits.take(1):  # all default
        return
    if bits.take(1):
        bits.must(1, 0, "filters of its own")
    if bits.take(2):
        bits.must(3 if varied else 2, 0, "filters of its own")
        if not varied:
            bits.take(16)  # sigma
    bits.must(2, 0, "extensions")


def _entries(rows: int, columns: int, group: int) -> int:
    """Entries of the table of contents for an image in groups of this many rows and columns."""
    groups = -(-rows // group) * -(-columns // group)
    if groups == 1:
        return 1
    coarse = group * 8
    return 2 + -(-rows // coarse) * -(-columns // coarse) + groups


def _check_end(stream: bytes, at: int, entries: int) -> None:
    """The table of contents, from bit ``at`` on, must account for every byte that follows it."""
    start = at // 8
    if entries > len(stream) * 8 // 12:  # an entry has at least 12 bits
        raise CodingError("a JPEG XL codestream is truncated")
    bits = _Bits(stream[start : start + 5 + entries * 4])
    bits.take(at % 8)
    bits.must(1, 0, "sections out of order")
    bits.take(-bits.at % 8)
    total = sum(bits.one_of(_TOC_ENTRY) for _ in range(entries))
    if start + -(-bits.at // 8) + total != len(stream):
        raise CodingError("a JPEG XL codestream is truncated, or something follows it")
