"""A JPEG Lossless frame as its pixels, coded as an image, and the recipe that makes it again.

Coded form: flags (1 byte; 1: the last byte of an interval is filled with zeros, not ones), length
of the recipe (4 bytes, big-endian), the recipe (`jpeg_headers`), and what codec `JXL` has: a frame
header and its codestream. Its samples are those of the JPEG, or with their sign filled in.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

import imagecodecs
import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from p2pacs.errors import CodingError
from p2pacs.study.compressed import JPEG_LOSSLESS
from p2pacs.study.compressed.entropy import Samples, code_scan
from p2pacs.study.compressed.image_bytes import RECIPE_BYTES, split_recipe, with_recipe
from p2pacs.study.compressed.jpeg_headers import (
    JpegFrameHeader,
    LosslessHeaders,
    read_lossless,
    recipe_of,
)
from p2pacs.study.images import JXL, CodedFrame, Shape
from p2pacs.study.images.form import IMAGE_BYTES, read_form
from p2pacs.study.images.frames import FrameCoder, decode_frame

_ZEROS: Final = 1

_FAILED: Final = (RuntimeError, ValueError, TypeError, MemoryError)
"""What imagecodecs raises on what it cannot decode."""


def encode_lossless(stream: bytes, shape: Shape, coder: FrameCoder) -> CodedFrame | None:
    """A frame coded smaller, which was made again and is exactly ``stream``; None if it is not.

    Args:
        stream: a JPEG, whatever follows it included.
        shape: what the header says of its pixels; only for showing, and for their sign.
        coder: for the pixels.
    """
    try:
        headers = read_lossless(stream, is_recipe=False)
        recipe = recipe_of(stream, headers)
        if len(recipe) > RECIPE_BYTES:
            return None
        pixels = _decoded(stream, headers.frame)
        pad = _padding(stream, headers, pixels)
    except CodingError:
        return None
    if pad is None:
        return None
    seen, native = _native(pixels, headers.frame, shape)
    coded = coder.encode(native, seen)
    if coded is None or coded.codec != JXL:
        return None
    whole = with_recipe(_ZEROS * (not pad), recipe, coded.coded)
    if len(whole) >= len(stream):
        return None
    return CodedFrame(JPEG_LOSSLESS, ((0, whole),), coded.preview)


def decode_lossless(coded: bytes, size: int) -> bytes:
    """The frame that `encode_lossless` was given.

    Recipe, frame header and codestream must agree before memory is taken for the image; no more
    is made than ``size`` bytes.

    Raises:
        CodingError: it does not decode to so many bytes, or its recipe cannot be.
    """
    recipe, image, flags = split_recipe(coded)
    if flags & ~_ZEROS:
        raise CodingError("a recipe is of an unknown form: update p2pacs")
    headers = read_lossless(recipe, is_recipe=True)
    frame, form = headers.frame, read_form(image)
    if (form.rows, form.columns, form.samples, form.bits, form.planar, form.big_endian) != (
        frame.rows,
        frame.columns,
        len(frame.components),
        _bits(frame),
        False,
        False,
    ):
        raise CodingError("a recipe is of another image than the one beside it")
    native = decode_frame(JXL, image, form.size)
    kind: type[np.unsignedinteger[Any]] = np.uint16 if form.bits == 16 else np.uint8
    pixels = np.frombuffer(native, np.dtype(kind).newbyteorder("<")).reshape(*form.shape[:2], -1)
    samples = pixels.astype(np.uint16) & np.uint16((1 << frame.precision) - 1)
    made = _made(recipe, headers, samples, int(not flags & _ZEROS), size)
    if len(made) != size:
        raise CodingError("a JPEG is made again with another length")
    return made


def _bits(frame: JpegFrameHeader) -> int:
    return 8 if frame.precision <= 8 else 16


def _decoded(stream: bytes, frame: JpegFrameHeader) -> Samples:
    """The samples, (rows, columns, components)."""
    components = len(frame.components)
    size = frame.rows * frame.columns * components * (_bits(frame) // 8)
    if components not in (1, 3) or size > IMAGE_BYTES:
        raise CodingError("a JPEG is too large to be coded as an image, or of odd samples")
    space = "GRAYSCALE" if components == 1 else "RGB"  # the same twice: nothing is converted
    try:
        # libjpeg-turbo fills up what breaks off; then it is not made again.
        found = imagecodecs.jpeg8_decode(stream, colorspace=space, outcolorspace=space)
    except _FAILED as error:
        raise CodingError("a JPEG does not decode") from error
    shape = (frame.rows, frame.columns, components)
    if found.size != frame.rows * frame.columns * components or found.dtype.kind != "u":
        raise CodingError("a JPEG decodes to another image than it declares")
    return found.astype(np.uint16).reshape(shape)


def _padding(stream: bytes, headers: LosslessHeaders, samples: Samples) -> int | None:
    """What bits fill last bytes, where the stream is made again with them."""
    recipe = recipe_of(stream, headers)
    bare = read_lossless(recipe, is_recipe=True)
    for pad in (1, 0):  # a last byte of ones is stuffed, so lengths may differ
        with suppress(CodingError):
            if _made(recipe, bare, samples, pad, len(stream)) == stream:
                return pad
    return None


def _made(recipe: bytes, headers: LosslessHeaders, samples: Samples, pad: int, most: int) -> bytes:
    at, left, parts = 0, most - len(recipe), list[bytes]()
    for scan in headers.scans:
        parts.append(recipe[at : scan.at])
        at = scan.at
        every = len(scan.components) == samples.shape[2]
        own = samples if every else samples[..., list(scan.components)]
        coded = code_scan(own, scan, headers.frame.precision, pad, left)
        left -= len(coded)
        parts.append(coded)
    return b"".join((*parts, recipe[at:]))


def _native(samples: Samples, frame: JpegFrameHeader, shape: Shape) -> tuple[Shape, bytes]:
    """The samples as a native frame, small where they are small: with their sign."""
    bits = _bits(frame)
    found: NDArray[Any] = samples
    if shape.signed and frame.precision < bits:
        sign = np.uint16(1 << (frame.precision - 1))
        found = (samples ^ sign) - sign
    native = found.astype("<u2" if bits == 16 else np.uint8).tobytes()
    seen = evolve(
        shape,
        rows=frame.rows,
        columns=frame.columns,
        samples=len(frame.components),
        bits=bits,
        planar=False,
        big_endian=False,
    )
    return seen, native
