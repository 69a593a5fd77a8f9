"""The registry of blob codecs: a number in the index names who can decode a blob.

A codec never changes once it is published; a better one gets a new number
(docs/formats.md). A decoder believes nothing: it gets the length that the index
declares, and neither takes more memory nor returns other than that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Final

import zstandard

from p2pacs.errors import CodingError
from p2pacs.limits import BLOB_BYTES
from p2pacs.study.compressed import COMPRESSED, JPEG_IN_XL, JPEG_LOSSLESS, RLE
from p2pacs.study.images import HTJ2K, HTJ2K_NEXT, JXL, PICTURES

RAW: Final = 0
"""The blob itself."""

ZSTD: Final = 1
"""One Zstandard frame (RFC 8878) with its content size, without dictionary or checksum."""

ZSTD_WITH: Final = 2
"""The same with the content of another blob of the study as dictionary."""

IMAGES: Final = PICTURES | COMPRESSED
"""Codecs of frames: slow, and written in C; they are decoded where a crash does no harm."""

ZSTD_LEVEL: Final = 3
"""Publishing must keep up with a PACS: level 3 codes CT at about 150 MB/s a core."""

_mine = threading.local()
"""The contexts of zstandard must not be used by two threads at once, and making one for every
frame costs more than coding a small frame."""


def encode_zstd(plain: bytes, level: int = ZSTD_LEVEL) -> bytes:
    """One zstd frame that declares its length; it may be larger than what is in it."""
    if level != ZSTD_LEVEL:  # seldom, and its tables may be large
        return zstandard.ZstdCompressor(level=level, write_content_size=True).compress(plain)
    mine: zstandard.ZstdCompressor | None = getattr(_mine, "compressor", None)
    if mine is None:
        mine = zstandard.ZstdCompressor(level=level, write_content_size=True)
        _mine.compressor = mine
    return mine.compress(plain)


def decode_zstd(coded: bytes, size: int) -> bytes:
    """The content of one zstd frame without dictionary.

    Raises:
        CodingError: damaged, of another length than ``size``, or with anything behind it.
    """
    mine: zstandard.ZstdDecompressor | None = getattr(_mine, "decompressor", None)
    if mine is None:
        mine = _mine.decompressor = zstandard.ZstdDecompressor()
    return _expand(mine, coded, size)


def raw_dictionary(content: bytes) -> zstandard.ZstdCompressionDict:
    """A dictionary that is nothing but content, whatever it begins with."""
    return zstandard.ZstdCompressionDict(content, dict_type=zstandard.DICT_TYPE_RAWCONTENT)


def decode_zstd_with(coded: bytes, size: int, dictionary: bytes) -> bytes:
    """The content of one zstd frame that was coded with this dictionary.

    Raises:
        CodingError: damaged, of another length than ``size``, or with anything behind it.
    """
    decompressor = zstandard.ZstdDecompressor(dict_data=raw_dictionary(dictionary))
    return _expand(decompressor, coded, size)


def _expand(decompressor: zstandard.ZstdDecompressor, coded: bytes, size: int) -> bytes:
    """The declared length is checked before memory is taken."""
    try:
        declared = zstandard.get_frame_parameters(coded).content_size
        if declared != size:
            raise CodingError(f"a zstd frame declares other than the {size} bytes of its blob")
        plain = decompressor.decompress(coded, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CodingError("a zstd frame is damaged") from error
    if len(plain) != size:
        raise CodingError(f"a zstd frame holds {len(plain)} bytes and declares {size}")
    return plain


def _raw(coded: bytes, size: int) -> bytes:
    if len(coded) != size:
        raise CodingError(f"a raw blob has {len(coded)} bytes where {size} are declared")
    return coded


def _only_with(_coded: bytes, _size: int) -> bytes:
    raise CodingError("a blob is coded with a dictionary that it does not name")


def _frame(codec: int, coded: bytes, size: int) -> bytes:
    from p2pacs.study.images.frames import decode_frame  # noqa: PLC0415 - loads numpy

    return decode_frame(codec, coded, size)


def _compressed(codec: int, coded: bytes, size: int) -> bytes:
    from p2pacs.study.compressed.frames import decode_compressed  # noqa: PLC0415 - loads numpy

    return decode_compressed(codec, coded, size)


def _not_alone(_coded: bytes, _size: int) -> bytes:
    raise CodingError("the further part of a frame is no blob of its own")


CODECS: Final[dict[int, tuple[str, Callable[[bytes, int], bytes]]]] = {
    RAW: ("raw", _raw),
    ZSTD: ("zstd", decode_zstd),
    ZSTD_WITH: ("zstd with dictionary", _only_with),
    JXL: ("JPEG XL", partial(_frame, JXL)),
    HTJ2K: ("HTJ2K", partial(_frame, HTJ2K)),
    HTJ2K_NEXT: ("HTJ2K, further part", _not_alone),
    JPEG_IN_XL: ("JPEG in JPEG XL", partial(_compressed, JPEG_IN_XL)),
    JPEG_LOSSLESS: ("JPEG Lossless", partial(_compressed, JPEG_LOSSLESS)),
    RLE: ("RLE Lossless", partial(_compressed, RLE)),
}
"""Name and decoder of each codec."""


def decode(number: int, coded: bytes, size: int, dictionary: bytes | None = None) -> bytes:
    """Decode a blob with the codec of this number.

    Args:
        number: of the codec, as the index has it.
        coded: the coded blob; all parts of a frame that is in parts.
        size: bytes that the index declares for the decoded blob.
        dictionary: content of the blob that it was coded with, if it was.

    Raises:
        CodingError: an unknown codec, a blob too large, damaged, or of another length.
    """
    if size > BLOB_BYTES:
        raise CodingError(f"a blob declares {size} bytes; at most {BLOB_BYTES} are allowed")
    if number == ZSTD_WITH and dictionary is not None:
        return decode_zstd_with(coded, size, dictionary)
    if number not in CODECS:
        raise CodingError(f"codec {number} is not known to this version: update p2pacs")
    return CODECS[number][1](coded, size)
