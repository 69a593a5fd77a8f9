"""The registry of blob codecs: a number in the index names who can decode a blob.

A codec never changes once it is published; a better one gets a new number
(docs/formats.md). A decoder believes nothing: it gets the length that the index
declares, and neither takes more memory nor returns other than that.
"""

from __future__ import annotations

import threading
from typing import Final, Protocol

import zstandard

from p2pacs.errors import CodingError
from p2pacs.limits import BLOB_BYTES

ZSTD_LEVEL: Final = 3
"""Publishing must keep up with a PACS: level 3 codes CT at about 150 MB/s a core."""


class Codec(Protocol):
    """One way to encode a blob without loss."""

    number: int
    name: str

    def encode(self, plain: bytes) -> bytes:
        """The coded form of a blob; it may be larger than the blob."""

    def decode(self, coded: bytes, size: int) -> bytes:
        """The blob of ``size`` bytes; `CodingError` if it is not exactly that."""


class Raw:
    """The blob itself."""

    number = 0
    name = "raw"

    def encode(self, plain: bytes) -> bytes:
        """The same bytes."""
        return plain

    def decode(self, coded: bytes, size: int) -> bytes:
        """The same bytes, if they are as many as declared."""
        if len(coded) != size:
            raise CodingError(f"a raw blob has {len(coded)} bytes where {size} are declared")
        return coded


class Zstd:
    """One Zstandard frame (RFC 8878) with its content size, without dictionary or checksum."""

    number = 1
    name = "zstd"

    def __init__(self) -> None:
        # The contexts of zstandard must not be used by two threads at once, and
        # making one for every frame costs more than coding a small frame.
        self._mine = threading.local()

    def encode(self, plain: bytes) -> bytes:
        """A frame that declares the blob's length."""
        mine: zstandard.ZstdCompressor | None = getattr(self._mine, "compressor", None)
        if mine is None:
            mine = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_content_size=True)
            self._mine.compressor = mine
        return mine.compress(plain)

    def decode(self, coded: bytes, size: int) -> bytes:
        """The content of the one frame; its declared length is checked before memory is taken."""
        mine: zstandard.ZstdDecompressor | None = getattr(self._mine, "decompressor", None)
        if mine is None:
            mine = self._mine.decompressor = zstandard.ZstdDecompressor()
        try:
            declared = zstandard.get_frame_parameters(coded).content_size
            if declared != size:
                raise CodingError(f"a zstd frame declares other than the {size} bytes of its blob")
            plain = mine.decompress(coded, max_output_size=size, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise CodingError("a zstd frame is damaged") from error
        if len(plain) != size:
            raise CodingError(f"a zstd frame holds {len(plain)} bytes and declares {size}")
        return plain


RAW: Final = Raw()
ZSTD: Final = Zstd()

CODECS: Final[dict[int, Codec]] = {codec.number: codec for codec in (RAW, ZSTD)}


def decode(number: int, coded: bytes, size: int) -> bytes:
    """Decode a blob with the codec of this number.

    Args:
        number: of the codec, as the index has it.
        coded: the coded blob.
        size: bytes that the index declares for the decoded blob.

    Raises:
        CodingError: an unknown codec, a blob too large, damaged, or of another length.
    """
    if size > BLOB_BYTES:
        raise CodingError(f"a blob declares {size} bytes; at most {BLOB_BYTES} are allowed")
    codec = CODECS.get(number)
    if codec is None:
        raise CodingError(f"codec {number} is not known to this version: update p2pacs")
    return codec.decode(coded, size)
