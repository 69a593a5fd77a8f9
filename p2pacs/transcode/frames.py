"""Coded frames made native; the only module of the room that imports numpy and imagecodecs.

What a codec gives is compared with what header and codestream say before and after; where the two
leave a choice that changes values, the frame is refused.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from p2pacs.errors import TranscodingError
from p2pacs.transcode.codestreams import CodestreamInfo, read_j2k, read_jpeg
from p2pacs.transcode.colour import (
    check_samples,
    j2k_result,
    jpeg_source,
    untransformed,
)
from p2pacs.transcode.image import Image
from p2pacs.transcode.jp2 import codestream
from p2pacs.transcode.syntaxes import FrameCoding

DecodedPixels = NDArray[Any]

_FAILED: Final = (RuntimeError, ValueError, TypeError, MemoryError, struct.error, zlib.error)
"""What codecs raise on what they cannot decode."""

_LOSSLESS: Final = 0xFFC3
_DCT: Final = frozenset((0xFFC0, 0xFFC1, 0xFFC2))
"""Baseline, extended; progressive is retired (PS3.5 A.4.1), and met."""
_JPEG_LS: Final = 0xFFF7


def decode_frame(coding: FrameCoding, frame: bytes, image: Image) -> tuple[bytes, str | None]:
    """A frame in native form, little endian, samples of a pixel together; and its interpretation.

    That is None, and samples lie as they lay, where the frame was native before.

    Args:
        coding: of it.
        frame: its fragments, joined.
        image: what the data set says of it.

    Raises:
        TranscodingError: it does not decode, or not to such an image, or its colours are ambiguous.
    """
    if coding in (FrameCoding.RAW, FrameCoding.DEFLATED):
        return _plain(coding, frame, image), None
    check_samples(image.photometric, image.samples)
    try:
        return _DECODERS[coding](frame, image)
    except _FAILED as error:
        raise TranscodingError("a frame is broken, or not what its transfer syntax says") from error


def _plain(coding: FrameCoding, frame: bytes, image: Image) -> bytes:
    if coding is FrameCoding.DEFLATED:
        try:
            frame = zlib.decompressobj(-zlib.MAX_WBITS).decompress(frame, image.frame_bytes + 1)
        except zlib.error as error:
            raise TranscodingError("a frame is not deflated, or broken") from error
    if not image.frame_bytes <= len(frame) <= image.frame_bytes + 1:  # one byte of padding
        raise TranscodingError("a frame has another size than its data set says")
    return frame[: image.frame_bytes]


def _jpeg(frame: bytes, image: Image) -> tuple[bytes, str]:
    stream = _checked(read_jpeg(frame), image)
    if stream.process not in _DCT:
        raise TranscodingError("a frame is another kind of JPEG than its transfer syntax says")
    if image.samples == 1:
        pixels = imagecodecs.jpeg8_decode(frame, colorspace="GRAYSCALE", outcolorspace="GRAYSCALE")
        return _native(pixels, stream, image), image.photometric
    source = jpeg_source(image.photometric, stream)
    pixels = imagecodecs.jpeg8_decode(frame, colorspace=source, outcolorspace="RGB")
    return _native(pixels, stream, image), "RGB"


def _jpeg_lossless(frame: bytes, image: Image) -> tuple[bytes, str]:
    stream = _checked(read_jpeg(frame), image)
    if stream.process != _LOSSLESS:
        raise TranscodingError("a frame is another kind of JPEG than its transfer syntax says")
    photometric = _kept(image, stream)
    if stream.plain:
        # libjpeg-turbo decodes these, too, but fills up a stream that breaks off.
        pixels = imagecodecs.jpegsof3_decode(frame)
    else:  # jpegsof3 decodes a point transform to other values, and says nothing
        space = "GRAYSCALE" if image.samples == 1 else "RGB"  # the same: nothing is converted
        pixels = imagecodecs.jpeg8_decode(frame, colorspace=space, outcolorspace=space)
    return _native(pixels, stream, image), photometric


def _jpeg_ls(frame: bytes, image: Image) -> tuple[bytes, str]:
    stream = _checked(read_jpeg(frame), image)
    if stream.process != _JPEG_LS:
        raise TranscodingError("a frame is another kind of JPEG than its transfer syntax says")
    photometric = _kept(image, stream)
    return _native(imagecodecs.jpegls_decode(frame), stream, image), photometric


def _kept(image: Image, stream: CodestreamInfo | None = None) -> str:
    return image.photometric if image.samples == 1 else untransformed(image.photometric, stream)


def _j2k(frame: bytes, image: Image) -> tuple[bytes, str]:
    frame = codestream(frame, image.samples)
    stream = _checked(read_j2k(frame), image)
    pixels = imagecodecs.jpeg2k_decode(frame, planar=False, numthreads=1)
    return _j2k_native(pixels, stream, image)


def _htj2k(frame: bytes, image: Image) -> tuple[bytes, str]:
    frame = codestream(frame, image.samples)
    stream = _checked(read_j2k(frame), image)
    return _j2k_native(imagecodecs.htj2k_decode(frame, planar=False), stream, image)


def _j2k_native(pixels: DecodedPixels, stream: CodestreamInfo, image: Image) -> tuple[bytes, str]:
    photometric = image.photometric if image.samples == 1 else j2k_result(image.photometric, stream)
    return _native(pixels, stream, image), photometric


def _jpeg_xl(frame: bytes, image: Image) -> tuple[bytes, str]:
    if image.signed:
        raise TranscodingError("a JPEG XL of signed values is not known to DICOM")
    kind, shape = np.dtype(f"u{image.sample_bytes}"), (image.rows, image.columns, image.samples)
    out = np.empty(shape[: 2 if image.samples == 1 else 3], kind)
    pixels = imagecodecs.jpegxl_decode(frame, keeporientation=True, numthreads=1, out=out)
    if image.samples == 1:
        photometric = image.photometric
    elif image.photometric in ("RGB", "XYB"):
        photometric = "RGB"
    else:
        raise TranscodingError(f"its colours are ambiguous: {image.photometric} in a JPEG XL")
    return _sized(pixels, image).astype(f"<u{image.sample_bytes}").tobytes(), photometric


def _jpeg_in_xl(frame: bytes, image: Image) -> tuple[bytes, str]:
    most = image.frame_bytes * 2 + 65_536  # a JPEG with its headers is never as large
    return _jpeg(bytes(imagecodecs.jpegxl_decode_jpeg(frame, numthreads=1, out=most)), image)


def _rle(frame: bytes, image: Image) -> tuple[bytes, str]:
    photometric = _kept(image)
    (segments,) = struct.unpack_from("<I", frame)
    if segments != image.samples * image.sample_bytes:
        raise TranscodingError("a frame has another number of RLE segments than samples and bytes")
    kind = np.dtype(f"<u{image.sample_bytes}")
    plain = imagecodecs.dicomrle_decode(frame, kind, out=image.frame_bytes)
    planes = np.frombuffer(plain, kind)
    if planes.nbytes != image.frame_bytes:
        raise TranscodingError("a frame has another size than its data set says")
    together = planes.reshape(image.samples, -1).T
    return np.ascontiguousarray(together).tobytes(), photometric


def _checked(stream: CodestreamInfo, image: Image) -> CodestreamInfo:
    """Codestream and data set mean the same image."""
    if (stream.rows, stream.columns) != (image.rows, image.columns):
        raise TranscodingError("a frame has other rows or columns than its data set says")
    if stream.samples != image.samples:
        raise TranscodingError("a frame has other samples than its data set says")
    if stream.bits > image.allocated:
        raise TranscodingError("a frame is deeper than Bits Allocated")
    return stream


def _sized(pixels: DecodedPixels, image: Image) -> DecodedPixels:
    shape = (image.rows, image.columns, image.samples)
    if pixels.size != image.rows * image.columns * image.samples or pixels.shape not in (
        shape,
        shape[: 2 if image.samples == 1 else 3],
    ):
        raise TranscodingError("a frame decodes to another image than it declares")
    return pixels


def _native(pixels: DecodedPixels, stream: CodestreamInfo, image: Image) -> bytes:
    """Samples as the data set says that they are.

    Codings without signs hold the low bits of negative numbers; those above are filled in where it
    is certain which bit is the sign.
    """
    _sized(pixels, image)
    if pixels.dtype.kind not in "iu" or pixels.dtype.itemsize * 8 < stream.bits:
        raise TranscodingError("a frame decodes to another kind of number than it declares")
    if not image.signed:
        if stream.signed and int(pixels.min()) < 0:
            raise TranscodingError("a frame has negative values, its data set says none")
    elif not stream.signed and stream.bits < image.allocated:
        sign = 1 << (stream.bits - 1)
        if stream.bits < image.stored and int(pixels.max()) >= sign:
            raise TranscodingError("a frame is not as deep as its signed values")
        wide = pixels.astype("i8" if image.allocated > 16 else "i4")
        pixels = (wide ^ sign) - sign
    return pixels.astype(f"<{'i' if image.signed else 'u'}{image.sample_bytes}").tobytes()


_DECODERS: Final[dict[FrameCoding, Callable[[bytes, Image], tuple[bytes, str]]]] = {
    FrameCoding.JPEG: _jpeg,
    FrameCoding.JPEG_LOSSLESS: _jpeg_lossless,
    FrameCoding.JPEG_LS: _jpeg_ls,
    FrameCoding.J2K: _j2k,
    FrameCoding.HTJ2K: _htj2k,
    FrameCoding.JPEG_XL: _jpeg_xl,
    FrameCoding.JPEG_IN_XL: _jpeg_in_xl,
    FrameCoding.RLE: _rle,
}
