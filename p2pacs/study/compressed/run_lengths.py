"""An RLE Lossless frame (PS3.5 G) as its pixels, coded as an image, and the recipe that packs them.

Coded form: as in `lossless`, with the number of a `PackRule` for flags. The recipe is the frame
without its packets: its header of 64 bytes, and what is between and behind the segments.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import imagecodecs
import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from p2pacs.errors import CodingError
from p2pacs.study.compressed import RLE
from p2pacs.study.compressed.image_bytes import RECIPE_BYTES, split_recipe, with_recipe
from p2pacs.study.compressed.packbits import PackRule, pack_rows
from p2pacs.study.images import JXL, CodedFrame, Shape
from p2pacs.study.images.form import IMAGE_BYTES, Form, read_form
from p2pacs.study.images.frames import FrameCoder, decode_frame

_HEADER: Final = struct.Struct("<16I")
_FAILED: Final = (RuntimeError, ValueError, TypeError, MemoryError)

_Planes = NDArray[np.uint8]
"""(segments, rows, columns): the bytes of samples, the most significant first (PS3.5 G.2)."""


def encode_run_lengths(stream: bytes, shape: Shape, coder: FrameCoder) -> CodedFrame | None:
    """A frame coded smaller, which was packed again and is exactly ``stream``; None if it is not.

    Args:
        stream: the frame, whatever follows it included.
        shape: what the header says of its pixels.
        coder: for the pixels.
    """
    own = evolve(shape, planar=False, big_endian=False)
    if own.samples not in (1, 3) or own.bits not in (8, 16) or not 0 < own.size <= IMAGE_BYTES:
        return None
    try:
        native = _decoded(stream, own)
        found = _recipe(stream, _planes(native, own.rows, own.columns, own.samples, own.bits))
    except CodingError:
        return None
    if found is None:
        return None
    coded = coder.encode(native, own)
    if coded is None or coded.codec != JXL:
        return None
    rule, recipe = found
    whole = with_recipe(rule, recipe, coded.coded)
    if len(recipe) > RECIPE_BYTES or len(whole) >= len(stream):
        return None
    return CodedFrame(RLE, ((0, whole),), coded.preview)


def decode_run_lengths(coded: bytes, size: int) -> bytes:
    """The frame that `encode_run_lengths` was given.

    Raises:
        CodingError: it does not decode to so many bytes, or its recipe cannot be.
    """
    recipe, image, flags = split_recipe(coded)
    if flags not in PackRule.__members__.values():
        raise CodingError("a recipe is of an unknown form: update p2pacs")
    form = read_form(image)
    if form.planar or form.big_endian:
        raise CodingError("a recipe is of another image than the one beside it")
    offsets = _offsets(recipe, form.samples * form.bits // 8)
    if size > 2 * form.size + len(recipe):  # a packet of one byte takes two
        raise CodingError("a frame of run lengths is longer than its pixels can make it")
    planes = _of_form(decode_frame(JXL, image, form.size), form)
    made = b"".join(_made(recipe, offsets, planes, PackRule(flags)))
    if len(made) != size:
        raise CodingError("a frame of run lengths is made again with another length")
    return made


def _decoded(stream: bytes, shape: Shape) -> bytes:
    """The native frame, samples of a pixel together."""
    _offsets(stream, shape.samples * shape.bits // 8)
    kind = np.dtype(f"<u{shape.bits // 8}")
    try:
        plain = imagecodecs.dicomrle_decode(stream, kind, out=shape.size)
    except _FAILED as error:
        raise CodingError("a frame of run lengths does not decode") from error
    samples = np.frombuffer(plain, kind)
    if samples.nbytes != shape.size:
        raise CodingError("a frame of run lengths decodes to another size")
    return np.ascontiguousarray(samples.reshape(shape.samples, -1).T).tobytes()


def _of_form(native: bytes, form: Form) -> _Planes:
    return _planes(native, form.rows, form.columns, form.samples, form.bits)


def _planes(native: bytes, rows: int, columns: int, samples: int, bits: int) -> _Planes:
    pixels: NDArray[Any] = np.frombuffer(native, np.uint8)
    by_byte = pixels.reshape(rows, columns, samples, bits // 8)[..., ::-1]
    return by_byte.transpose(2, 3, 0, 1).reshape(-1, rows, columns)


def _offsets(frame: bytes, segments: int) -> tuple[int, ...]:
    """Where the segments begin, as the header says, and must.

    Raises:
        CodingError: there are not as many, or not one after the other.
    """
    if len(frame) < _HEADER.size:
        raise CodingError("a frame of run lengths is shorter than its header")
    count, *offsets = _HEADER.unpack_from(frame)
    if count != segments or count > len(offsets):
        raise CodingError("a frame of run lengths has too many segments, or too few")
    found = tuple(offsets[:count])
    if found[0] < _HEADER.size or any(b <= a for a, b in pairwise(found)):
        raise CodingError("the segments of a frame of run lengths are not in order")
    return found


def _recipe(stream: bytes, planes: _Planes) -> tuple[PackRule, bytes] | None:
    """By which rule the planes are packed, and what is around the segments."""
    offsets = _offsets(stream, len(planes))
    for rule in PackRule:
        at, kept = 0, list[bytes]()
        for start, plane in zip(offsets, planes, strict=True):
            packed = pack_rows(plane, rule)
            if start < at or stream[start : start + len(packed)] != packed:
                break
            kept.append(stream[at:start])
            at = start + len(packed)
        else:
            return rule, b"".join((*kept, stream[at:]))
    return None


def _made(
    recipe: bytes, offsets: tuple[int, ...], planes: _Planes, rule: PackRule
) -> Iterator[bytes]:
    """The frame in pieces."""
    at = made = 0
    for start, plane in zip(offsets, planes, strict=True):
        around = start - made
        if not 0 <= around <= len(recipe) - at:
            raise CodingError("a recipe has no room for the segments that it makes")
        yield recipe[at : at + around]
        packed = pack_rows(plane, rule)
        yield packed
        at += around
        made = start + len(packed)
    yield recipe[at:]
