"""JPEG 2000 frames in a file of their own (ISO/IEC 15444-1 I), which DICOM forbids and has (pure).

The file may say of the colours what the data set does not: order, palette, another space. Then the
frame is refused; else its codestream is what counts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from p2pacs.errors import TranscodingError

_SIGNATURE: Final = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
_PLAIN: Final = frozenset((b"ihdr", b"bpcc", b"colr", b"res "))
"""Boxes of the header that change no sample."""

_ENUMERATED: Final = {16: 3, 17: 1}
"""sRGB and grey, with the samples that they have; sYCC (18) and others are none of these."""

_PROFILES: Final = {b"RGB ": 3, b"GRAY": 1}
"""Colour spaces of an ICC profile."""


def codestream(frame: bytes, samples: int) -> bytes:
    """The codestream of a frame, whether or not it is wrapped.

    Args:
        frame: a codestream, or a JP2 file.
        samples: of a pixel.

    Raises:
        TranscodingError: the file changes the samples, or is none.
    """
    if not frame.startswith(_SIGNATURE):
        return frame
    try:
        boxes = dict(_boxes(frame))
        header = list(_boxes(boxes.get(b"jp2h", b"")))
        spaces = [_samples(box) for kind, box in header if kind == b"colr"]
    except struct.error as error:
        raise TranscodingError("a frame ends within its headers") from error
    if b"jp2c" not in boxes:
        raise TranscodingError("a frame is a JP2 file without a codestream")
    if {kind for kind, _ in header} - _PLAIN or set(spaces) != {samples}:
        raise TranscodingError("its colours are ambiguous: a JP2 file that says of other ones")
    return boxes[b"jp2c"]


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each box."""
    at = 0
    while at + 8 <= len(data):  # what is left is padding
        length, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, at + 8)
            head = 16
        end = len(data) if length == 0 else at + length
        if end < at + head or end > len(data):
            raise TranscodingError("a frame breaks off")
        yield kind, data[at + head : end]
        at = end


def _samples(box: bytes) -> int:
    """Samples of the colour space in a ``colr`` box; 0 where it is another one."""
    method = box[:1]
    if method == b"\1":
        return _ENUMERATED.get(struct.unpack_from(">I", box, 3)[0], 0)
    return _PROFILES.get(box[3 + 16 : 3 + 20], 0)
