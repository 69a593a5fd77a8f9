"""Reading the headers of an HTJ2K codestream, before a library is let at it.

Only what our encoder writes passes: one tile, one quality layer, code blocks of 64x64,
whole resolutions without precincts, the reversible transform, and one tile-part for each
resolution, coarsest first. So what decoding costs is known from the size of the image
alone, and where a resolution ends from the tile-parts' lengths. Markers and fields are
those of ISO/IEC 15444-1 annex A; the block coder is that of ISO/IEC 15444-15.
"""

from __future__ import annotations

import struct
from typing import Final

from attrs import frozen

from p2pacs.errors import CodingError

_SOC_SIZ: Final = b"\xff\x4f\xff\x51"
_SIZ, _CAP, _COD, _QCD, _COM = 0xFF51, 0xFF50, 0xFF52, 0xFF5C, 0xFF64
_SOT, _SOD = 0xFF90, 0xFF93
_EOC: Final = b"\xff\xd9"
_ONCE: Final = frozenset({_SIZ, _CAP, _COD, _QCD})

_SIZ_FIELDS: Final = struct.Struct(">HIIIIIIIIH")
_COD_FIELDS: Final = struct.Struct(">BBHBBBBBB")
_SOT_FIELDS: Final = struct.Struct(">HHHIBBH")

_RPCL: Final = 2
_BLOCK_64: Final = 4
_HIGH_THROUGHPUT: Final = 0x40
_REVERSIBLE: Final = 1
_MAIN_BYTES: Final = 1024
"""The main header is some 120 bytes."""


@frozen
class J2kInfo:
    """What a codestream, or the beginning of one, says of its image."""

    rows: int
    columns: int
    samples: int
    """1 or 3."""
    bits: int
    """A sample, unsigned: 8 or 16."""
    levels: int
    """Halvings: the coarsest resolution is smaller by 2^levels."""
    ends: tuple[int, ...]
    """Where the tile-parts end that are here whole: the coarsest resolution first."""
    whole: bool
    """All tile-parts are here, and the end marker, and nothing else."""


def inspect(stream: bytes) -> J2kInfo:
    """What the headers of a codestream say that may break off anywhere.

    Raises:
        CodingError: not a codestream, or one that has what is not allowed.
    """
    if stream[:4] != _SOC_SIZ:
        raise CodingError("not a JPEG 2000 codestream")
    segments, at = _main_header(stream)
    rows, columns, samples, bits = _size(segments[_SIZ])
    levels = _style(segments[_COD], samples)
    ends = _tile_parts(stream, at, levels + 1)
    whole = len(ends) == levels + 1 and stream[ends[-1] :] == _EOC
    return J2kInfo(rows, columns, samples, bits, levels, ends, whole)


def _main_header(stream: bytes) -> tuple[dict[int, bytes], int]:
    """The marker segments before the first tile-part, and where that begins."""
    segments: dict[int, bytes] = {}
    at = 2
    while at + 4 <= min(len(stream), _MAIN_BYTES):
        marker, length = struct.unpack_from(">HH", stream, at)
        if marker == _SOT:
            if segments.keys() < _ONCE:
                raise CodingError("a JPEG 2000 codestream lacks a header")
            return segments, at
        if marker in segments or marker not in {*_ONCE, _COM} or length < 2:
            raise CodingError("a JPEG 2000 codestream has headers that are not allowed here")
        if marker in _ONCE:
            segments[marker] = stream[at + 4 : at + 2 + length]
        at += 2 + length
    raise CodingError("a JPEG 2000 codestream ends within its headers")


def _size(raw: bytes) -> tuple[int, int, int, int]:
    """SIZ: rows, columns, samples, bits of an image that is one tile at the origin."""
    if len(raw) < _SIZ_FIELDS.size:
        raise CodingError("a JPEG 2000 codestream has a short header")
    _, columns, rows, x, y, tile_columns, tile_rows, tile_x, tile_y, samples = (
        _SIZ_FIELDS.unpack_from(raw)
    )
    if (x, y, tile_x, tile_y) != (0, 0, 0, 0) or (tile_rows, tile_columns) != (rows, columns):
        raise CodingError("a JPEG 2000 codestream is cut into tiles: not allowed here")
    depth = raw[_SIZ_FIELDS.size : _SIZ_FIELDS.size + 1]
    alike = (depth + b"\1\1") * samples
    if samples not in (1, 3) or depth not in (b"\x07", b"\x0f"):
        raise CodingError("a JPEG 2000 codestream has samples that are not allowed here")
    if raw[_SIZ_FIELDS.size :] != alike or not rows or not columns:
        raise CodingError("a JPEG 2000 codestream has samples that differ")
    return rows, columns, samples, depth[0] + 1


def _style(raw: bytes, samples: int) -> int:
    """COD: the number of halvings."""
    if len(raw) != _COD_FIELDS.size:
        raise CodingError("a JPEG 2000 codestream has precincts, which are not allowed here")
    style, order, layers, colour, levels, *rest = _COD_FIELDS.unpack(raw)
    if (style, order, layers) != (0, _RPCL, 1) or colour > (samples == 3) or levels > 32:
        raise CodingError("a JPEG 2000 codestream has an order that is not allowed here")
    if rest != [_BLOCK_64, _BLOCK_64, _HIGH_THROUGHPUT, _REVERSIBLE]:
        raise CodingError("a JPEG 2000 codestream is not HTJ2K without loss")
    return int(levels)


def _tile_parts(stream: bytes, at: int, count: int) -> tuple[int, ...]:
    """Ends of the tile-parts that are here whole."""
    ends: list[int] = []
    for number in range(count):
        if at + _SOT_FIELDS.size > len(stream):
            break
        marker, length, tile, size, part, parts, data = _SOT_FIELDS.unpack_from(stream, at)
        fixed = (_SOT, 10, 0, number, count, _SOD)
        if (marker, length, tile, part, parts, data) != fixed or size < _SOT_FIELDS.size:
            raise CodingError("a JPEG 2000 codestream has tile-parts that are not allowed here")
        at += size
        if at > len(stream):
            break
        ends.append(at)
    return tuple(ends)
