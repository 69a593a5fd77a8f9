"""An instance in another transfer syntax, nothing else of it changed."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from typing import Final

from pydicom.encaps import generate_frames

from p2pacs.dataset.elements import attributes_of
from p2pacs.dataset.header import DEFLATED, read_header
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dataset.json_model import number
from p2pacs.dataset.unreadable import UNREADABLE
from p2pacs.errors import TranscodingError
from p2pacs.limits import MIB, TRANSCODED_BYTES
from p2pacs.transcode.elements import PIXEL_DATA, SequenceItem, read_elements, sample_bits
from p2pacs.transcode.image import Image, native_changes, read_image, value_of
from p2pacs.transcode.rewriting import ElementChanges, rewritten
from p2pacs.transcode.syntaxes import (
    TARGETS,
    FrameCoding,
    coding_of,
    encoding_of,
    name_of,
)

_OFFSET_TABLE: Final = 0x7FE00001
_OFFSET_LENGTHS: Final = 0x7FE00002

_HEADER_BYTES: Final = 16 * MIB
"""A deflated data set may have so much besides its pixel data ..."""

_TIMES: Final = 3
"""... and another may grow so much: an element of eight bytes in Implicit VR has at most twelve."""


def transcode(instance: EncodedInstance, target: str) -> EncodedInstance:
    """An instance in another transfer syntax.

    Args:
        instance: as it is stored.
        target: Explicit or Implicit VR Little Endian.

    Raises:
        TranscodingError: it cannot be, and why; the message names the transfer syntax.
    """
    source = instance.transfer_syntax_uid
    if source == target:
        return instance
    try:
        data = _transcoded(instance, target)
    except TranscodingError as error:
        raise TranscodingError(f"{name_of(source)}: {error}") from error
    return EncodedInstance(instance.sop_class_uid, instance.sop_instance_uid, target, data)


def transcoded_bytes(instance: EncodedInstance) -> int:
    """At most so many bytes has it in another transfer syntax; read from its header alone."""
    syntax, size = instance.transfer_syntax_uid, len(instance.data)
    coding = coding_of(syntax)
    if coding is None and syntax != DEFLATED:
        return min(size * _TIMES // 2, TRANSCODED_BYTES)
    header = read_header(instance.data, syntax)
    attributes = {} if header is None else attributes_of(header)
    pixels = max(number(attributes, "NumberOfFrames") or 1, 1)
    for factor in ("Rows", "Columns", "SamplesPerPixel"):
        pixels *= max(number(attributes, factor) or 1, 1)
    pixels *= -(-max(number(attributes, "BitsAllocated") or 8, 8) // 8)
    return min(pixels + size * _TIMES // 2 + _HEADER_BYTES, TRANSCODED_BYTES)


def _transcoded(instance: EncodedInstance, target: str) -> bytes:
    source = instance.transfer_syntax_uid
    encoding, made = encoding_of(source), encoding_of(target)
    if encoding is None:
        raise TranscodingError("it cannot be decoded here")
    if target not in TARGETS or made is None:
        raise TranscodingError(f"nothing is converted to {name_of(target)}")
    data = instance.data
    if source == DEFLATED:
        data = _inflated(data, transcoded_bytes(instance))
    if encoding == made and coding_of(source) is None:
        return data
    coding = coding_of(source)
    deep = encoding != made or data.count(_ENCAPSULATED) > 1
    root = read_elements(data, encoding, deep=deep)
    if coding is None and any(element.encapsulated for element in root.elements):
        raise TranscodingError("its pixel data are compressed, which it does not say")
    if coding is not None:
        _check_encapsulated(root)
    if not encoding.little:
        _check_words(data, root)

    def changes(item: SequenceItem, depth: int) -> ElementChanges:
        if coding is None:
            raise TranscodingError("an icon is compressed, which it does not say")
        image = read_image(data, item, nested=depth > 0)
        pixels, photometric = _decoded(data, item, image, coding)
        return native_changes(data, item, image, pixels, photometric)

    return rewritten(data, root, made, changes)


_ENCAPSULATED: Final = b"\xe0\x7f\x10\x00O"
"""Pixel data in Explicit VR Little Endian. More than one may mean an icon (which has the transfer
syntax of its image, or is native), so sequences are read; mostly that can be spared."""


def _check_encapsulated(root: SequenceItem) -> None:
    element = root.find(PIXEL_DATA)
    if element is not None and not element.encapsulated:
        raise TranscodingError("its pixel data are not encapsulated")


def _check_words(data: bytes, root: SequenceItem) -> None:
    """Of samples longer than words, Big Endian has the low word first (PS3.5 8.1.1), as DCMTK and
    GDCM read them; pydicom, and whoever wrote its examples, the high one."""
    element = root.find(PIXEL_DATA)
    if element is not None and element.vr == "OW" and sample_bits(data, root) > 16:
        raise TranscodingError("its samples are longer than words, in an order that nobody knows")


def _inflated(data: bytes, most: int) -> bytes:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflate.decompress(data, most)
    except zlib.error as error:
        raise TranscodingError("its data set is not deflated, or broken") from error
    if not inflate.eof:
        raise TranscodingError("its data set breaks off, or is larger than its image")
    return plain


def _decoded(
    data: bytes, item: SequenceItem, image: Image, coding: FrameCoding
) -> tuple[bytearray, str | None]:
    """All frames, native; and their Photometric Interpretation."""
    from p2pacs.transcode.frames import decode_frame  # noqa: PLC0415 - numpy is for workers only

    total = image.frames * image.frame_bytes
    pixels = bytearray(total + total % 2)
    found: set[str | None] = set()
    done = 0
    for frame in _frames(data, item, image.frames):
        if done == image.frames:
            raise TranscodingError("it has more frames than it says")
        native, photometric = decode_frame(coding, frame, image)
        pixels[done * image.frame_bytes : (done + 1) * image.frame_bytes] = native
        found.add(photometric)
        done += 1
    if done < image.frames:
        raise TranscodingError("it has fewer frames than it says")
    if len(found) != 1:
        raise TranscodingError("its frames differ in their colours")
    return pixels, found.pop()


def _frames(data: bytes, item: SequenceItem, count: int) -> Iterator[bytes]:
    """The coded frames, one after the other (PS3.5 A.4)."""
    element = item.find(PIXEL_DATA)
    assert element is not None  # noqa: S101 - who calls has found it
    offsets, lengths = value_of(data, item, _OFFSET_TABLE), value_of(data, item, _OFFSET_LENGTHS)
    extended = (offsets, lengths) if offsets and lengths else None
    fragments = io.BytesIO(memoryview(data)[element.value : element.end])
    try:
        yield from generate_frames(fragments, number_of_frames=count, extended_offsets=extended)
    except UNREADABLE as error:
        raise TranscodingError("its pixel data cannot be cut into frames") from error
