"""Coding frames that are compressed already, and decoding them without belief."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import evolve

from p2pacs.errors import CodingError, TranscodingError
from p2pacs.study.compressed import JPEG_IN_XL, JPEG_LOSSLESS, RLE
from p2pacs.study.compressed.description import CompressedShape
from p2pacs.study.compressed.lossless import decode_lossless, encode_lossless
from p2pacs.study.compressed.reversible import decode_reversible, encode_reversible
from p2pacs.study.compressed.run_lengths import decode_run_lengths, encode_run_lengths
from p2pacs.study.images import CodedFrame, Coding
from p2pacs.study.images.form import IMAGE_BYTES
from p2pacs.study.images.frames import FrameCoder
from p2pacs.study.images.preview import preview
from p2pacs.study.images.samples import levelled
from p2pacs.transcode.frames import decode_frame
from p2pacs.transcode.syntaxes import FrameCoding

_SAMPLES: Final = (1, 3)
_BITS: Final = (8, 16)


class CompressedCoder:
    """Codes compressed frames for one site."""

    def __init__(self, coding: Coding, frames: FrameCoder) -> None:
        """Begin.

        Args:
            coding: what the site wants; only `Coding.SMALLEST` makes these frames smaller.
            frames: codes their pixels.
        """
        self._coding = coding
        self._frames = frames

    def encode(self, stream: bytes, shape: CompressedShape) -> CodedFrame | None:
        """The coded frame, which was decoded again and is exactly ``stream``.

        Args:
            stream: the frame, as its fragment has it.
            shape: what its header says.

        Returns:
            Without a codec, where it stays as it is and has a preview; None, where it has none.
        """
        if self._coding is Coding.SMALLEST and (made := self._smaller(stream, shape)) is not None:
            return made
        seen = preview_of(stream, shape, len(stream))
        return None if seen is None else CodedFrame(None, (), seen)

    def _smaller(self, stream: bytes, shape: CompressedShape) -> CodedFrame | None:
        if shape.coding is FrameCoding.JPEG_LOSSLESS:
            return encode_lossless(stream, shape.shape, self._frames)
        if shape.coding is FrameCoding.RLE:
            return encode_run_lengths(stream, shape.shape, self._frames)
        if shape.coding is FrameCoding.JPEG and _fits(shape):
            coded = encode_reversible(stream)
            if coded is not None:
                seen = preview_of(stream, shape, len(coded))
                return CodedFrame(JPEG_IN_XL, ((0, coded),), seen)
        return None


def preview_of(
    stream: bytes, shape: CompressedShape, coded_bytes: int
) -> tuple[int, bytes, int] | None:
    """The preview of a frame, by decoding it (`p2pacs.study.images.preview.preview`); None where
    it does not decode, or is not worth one."""
    if not _fits(shape):
        return None
    try:
        native, photometric = decode_frame(shape.coding, stream, shape.image)
    except TranscodingError:
        return None
    seen = evolve(
        shape.shape,
        planar=False,
        big_endian=False,
        photometric=photometric or shape.shape.photometric,
    )
    return preview(*levelled(native, seen), coded_bytes)


def _fits(shape: CompressedShape) -> bool:
    """Whether its native frames are such as are coded as images."""
    own = shape.shape
    return own.samples in _SAMPLES and own.bits in _BITS and 0 < own.size <= IMAGE_BYTES


_DECODERS: Final[dict[int, Callable[[bytes, int], bytes]]] = {
    JPEG_IN_XL: decode_reversible,
    JPEG_LOSSLESS: decode_lossless,
    RLE: decode_run_lengths,
}


def decode_compressed(codec: int, coded: bytes, size: int) -> bytes:
    """The frame that a `CompressedCoder` was given.

    Args:
        codec: of `p2pacs.study.compressed`.
        coded: the coded frame.
        size: bytes that the index declares for the frame.

    Raises:
        CodingError: it does not decode to exactly such a frame.
    """
    if codec not in _DECODERS:
        raise CodingError(f"codec {codec} is not one for compressed frames")
    return _DECODERS[codec](coded, size)
