"""A JPEG (DCT) as JPEG XL that gives it back byte for byte (ISO/IEC 18181-2, box jbrd), by libjxl.

The coefficients are coded better; the rest, Huffman tables and markers, stands in a box of its own.
"""

from __future__ import annotations

from typing import Final

import imagecodecs

from p2pacs.errors import CodingError
from p2pacs.study.compressed.image_bytes import reversible_bytes
from p2pacs.study.images.form import IMAGE_BYTES

_FAILED: Final = (RuntimeError, ValueError, TypeError, MemoryError)


def encode_reversible(stream: bytes) -> bytes | None:
    """A JPEG coded smaller, which came back as exactly ``stream``; None if it does not.

    Args:
        stream: a JPEG, whatever follows it included.
    """
    try:
        coded = bytes(imagecodecs.jpegxl_encode_jpeg(stream, numthreads=1))
        if len(coded) < len(stream) and decode_reversible(coded, len(stream)) == stream:
            return coded
    except (*_FAILED, CodingError):
        return None
    return None


def decode_reversible(coded: bytes, size: int) -> bytes:
    """The JPEG that `encode_reversible` was given.

    Raises:
        CodingError: it does not decode to so many bytes, or its image is too large.
    """
    if reversible_bytes(coded) > IMAGE_BYTES:
        raise CodingError("a JPEG in JPEG XL is of a larger image than a frame may be")
    try:
        made = bytes(imagecodecs.jpegxl_decode_jpeg(coded, numthreads=1, out=size))
    except _FAILED as error:
        raise CodingError("a JPEG in JPEG XL is damaged") from error
    if len(made) != size:
        raise CodingError("a JPEG in JPEG XL comes back with another length")
    return made
