"""What a coded frame says of itself in its headers, before a library is let at it (pure)."""

from __future__ import annotations

import struct
from typing import Final

from attrs import evolve, frozen

from p2pacs.errors import TranscodingError

_DRI, _SOS = 0xFFDD, 0xFFDA
_APP0, _APP14 = 0xFFE0, 0xFFEE
_SOFS: Final = frozenset((*range(0xFFC0, 0xFFC4), *range(0xFFC5, 0xFFC8), 0xFFC9, 0xFFCA, 0xFFCB))
_SOF55: Final = 0xFFF7
"""JPEG-LS."""

_J2K_SOC_SIZ: Final = b"\xff\x4f\xff\x51"
_COD, _SOT = 0xFF52, 0xFF90


@frozen
class CodestreamInfo:
    """What a codestream holds."""

    rows: int
    columns: int
    samples: int
    bits: int
    """Precision of a sample."""
    signed: bool = False
    subsampled: bool = False
    """Some components have fewer samples than others."""
    transformed: bool = False
    """JPEG 2000: the decoder undoes a transform of the colours."""
    told: frozenset[str] = frozenset()
    """JPEG: the colours that markers tell of: ``RGB``, ``YCbCr``, or ``other``."""
    process: int = 0
    """JPEG: the marker of its frame header."""
    plain: bool = True
    """JPEG: one scan of all components, without restarts and point transform."""


def read_jpeg(frame: bytes) -> CodestreamInfo:
    """The headers of a JPEG or JPEG-LS frame.

    Raises:
        TranscodingError: it is none, or breaks off: decoders would fill up what is missing.
    """
    if frame[:2] != b"\xff\xd8":
        raise TranscodingError("a frame is not a JPEG")
    if not frame.rstrip(b"\0\xff").endswith(b"\xff\xd9"):  # an end marker, perhaps fill bytes
        raise TranscodingError("a frame breaks off")
    told: set[str] = set()
    at = 2
    found: CodestreamInfo | None = None
    plain = True
    while True:
        try:
            marker, length = struct.unpack_from(">HH", frame, at)
        except struct.error as error:
            raise TranscodingError("a frame ends within its headers") from error
        if marker == 0xFFFF:  # fill bytes
            at += 1
            continue
        if marker < 0xFFC0 or length < 2:
            raise TranscodingError("a frame has no proper headers")
        segment = frame[at + 4 : at + 2 + length]
        if marker in _SOFS or marker == _SOF55:
            found = _jpeg_frame(segment, marker, told)
        elif marker == _APP0 and segment.startswith(b"JFIF\0"):
            told.add("YCbCr")
        elif marker == _APP14 and segment.startswith(b"Adobe") and len(segment) >= 12:
            told.add({0: "RGB", 1: "YCbCr"}.get(segment[11], "other"))
        elif marker == _DRI:
            plain = False
        elif marker == _SOS:
            # Components of the scan, and the point transform in the lower half of the last byte.
            plain = plain and segment[:1] == bytes([found.samples]) if found else False
            plain = plain and not segment[-1] & 0x0F
            break
        at += 2 + length
    if found is None:
        raise TranscodingError("a frame has no frame header")
    return evolve(found, told=frozenset(told), plain=plain)


def _jpeg_frame(segment: bytes, marker: int, told: set[str]) -> CodestreamInfo:
    if len(segment) < 6 or len(segment) < 6 + 3 * segment[5]:
        raise TranscodingError("a frame has a short frame header")
    bits, rows, columns, samples = struct.unpack_from(">BHHB", segment)
    ids = segment[6 : 6 + 3 * samples : 3]
    factors = set(segment[7 : 6 + 3 * samples : 3])
    if ids == b"RGB":
        told.add("RGB")
    return CodestreamInfo(rows, columns, samples, bits, subsampled=len(factors) > 1, process=marker)


def read_j2k(frame: bytes) -> CodestreamInfo:
    """The headers of a JPEG 2000 codestream, high-throughput or not.

    Raises:
        TranscodingError: it is none, or breaks off: decoders would fill up what is missing.
    """
    if frame[:4] != _J2K_SOC_SIZ:
        raise TranscodingError("a frame is not a JPEG 2000 codestream")
    try:
        return _j2k(frame)
    except struct.error as error:
        raise TranscodingError("a frame ends within its headers") from error


def _j2k(frame: bytes) -> CodestreamInfo:
    columns, rows, left, top = struct.unpack_from(">IIII", frame, 8)
    (samples,) = struct.unpack_from(">H", frame, 40)
    components = frame[42 : 42 + 3 * samples]
    if not samples or len(components) < 3 * samples:
        raise TranscodingError("a frame ends within its headers")
    if len({components[at : at + 1] for at in range(0, 3 * samples, 3)}) > 1:
        raise TranscodingError("the components of a frame differ in depth")
    transformed, at = False, 2
    while True:
        marker, length = struct.unpack_from(">HH", frame, at)
        if marker == _SOT:
            break
        if marker == _COD:
            transformed = frame[at + 8 : at + 9] == b"\1"
        if length < 2:
            raise TranscodingError("a frame has no proper headers")
        at += 2 + length
    _tile_parts(frame, at)
    return CodestreamInfo(
        rows - top,
        columns - left,
        samples,
        (components[0] & 0x7F) + 1,
        signed=bool(components[0] & 0x80),
        subsampled=any(components[at + 1 : at + 3] != b"\1\1" for at in range(0, 3 * samples, 3)),
        transformed=transformed,
    )


def _tile_parts(frame: bytes, at: int) -> None:
    """All that the headers tell of is here (OpenJPH takes a stream that breaks off)."""
    while at + 12 <= len(frame):
        (marker,) = struct.unpack_from(">H", frame, at)
        if marker != _SOT:
            break
        if frame[at + 12 : at + 14] == b"\xff\x52":
            raise TranscodingError("a tile of a frame has a coding of its own")
        (size,) = struct.unpack_from(">I", frame, at + 6)
        if size == 0:  # the last one, up to the end marker
            if b"\xff\xd9" not in frame[-16:]:
                break
            return
        at += size
    if at > len(frame) or frame[at : at + 2] not in (b"\xff\xd9", b"", b"\0"):
        raise TranscodingError("a frame breaks off")
