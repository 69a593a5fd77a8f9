"""Where the frames of an instance lie in its bytes, however long these are. Pure.

A `Reading` is a generator that says which bytes of the data set it needs next, is sent them, and
returns what it was to find: so a frame of a large instance is read without the rest of it, and
from wherever the bytes are.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable, Generator
from typing import Final, Protocol, TypeAlias, TypeVar

from attrs import frozen
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

from p2pacs.dataset.bulk_data import turned
from p2pacs.dataset.header import UNDEFINED_LENGTH, Header
from p2pacs.dataset.json_model import Json, number, text
from p2pacs.errors import BrokenInstanceError, NotFoundError
from p2pacs.limits import FRAGMENTS, FRAME_READ_BYTES, FRAMES

T = TypeVar("T")

Span = tuple[int, int]
"""Bytes of the data set: the first, and the one after the last."""

Reading = Generator[Span, bytes, T]
"""Asks for spans, is sent their bytes, returns what it makes of them."""

_Spans: TypeAlias = "tuple[array[int], array[int]]"
"""Where each begins, and where it ends."""

_ITEM: Final = struct.Struct("<HHL")
"""Group, element and length of an item: encapsulated pixel data are little endian (PS3.5 A.4)."""
_ITEM_TAG: Final = (0xFFFE, 0xE000)
_END_TAG: Final = (0xFFFE, 0xE0DD)

_EXTENDED_OFFSETS: Final = 0x7FE00001

_END_OF_IMAGE: Final = b"\xff\xd9"
"""What JPEG and JPEG 2000 codestreams end with ..."""
_TAIL: Final = 10
"""... with padding behind it."""

_SUBSAMPLED: Final = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})
"""Two chrominance samples for two pixels: two samples a pixel (PS3.3 C.7.6.3.1.2)."""

_WORDS: Final = {"OF": 4, "OD": 8, "OL": 4, "OV": 8}


class PixelData(Protocol):
    """The pixel data of one instance."""

    @property
    def count(self) -> int:
        """Frames."""

    def read(self, frame: int) -> Reading[bytes]:
        """A frame (from 0): without what encapsulates it, or little endian where it is native.

        Raises:
            NotFoundError: there is no such frame.
            BrokenInstanceError: the pixel data are not as their header says.
        """


def frame_bits(attributes: Json) -> int:
    """Bits of a native frame; 0 if the header does not say."""
    rows = number(attributes, "Rows") or 0
    columns = number(attributes, "Columns") or 0
    samples = number(attributes, "SamplesPerPixel") or 1
    allocated = number(attributes, "BitsAllocated") or 0
    if text(attributes, "PhotometricInterpretation") in _SUBSAMPLED:
        samples = 2
    return max(0, rows * columns * samples * allocated)


def find_pixel_data(header: Header, attributes: Json, size: int) -> Reading[PixelData]:
    """Where the frames lie.

    Args:
        header: of the data set.
        attributes: the same by `p2pacs.dataset.elements.attributes_of`.
        size: bytes of the whole data set.

    Raises:
        NotFoundError: it has no pixel data.
        BrokenInstanceError: they make no sense.
    """
    count = number(attributes, "NumberOfFrames") or 1
    if header.pixels_at is None:
        raise NotFoundError("an instance without pixel data has no frames")
    if not 0 < count <= FRAMES:
        raise BrokenInstanceError("an instance has an impossible number of frames")
    if header.pixels_length == UNDEFINED_LENGTH:
        return (yield from _encapsulated(header, count, size))
    bits = frame_bits(attributes)
    if not bits:
        raise BrokenInstanceError("an instance has pixel data, and does not say of what size")
    length = min(header.pixels_length, size - header.pixels_at)
    allocated = number(attributes, "BitsAllocated") or 0
    word = 1 if header.little_endian else _word(header.pixels_vr, allocated)
    return NativePixels(count, header.pixels_at, length, bits, word)


def _word(vr: str | None, allocated: int) -> int:
    """Bytes whose order big endian turns round (PS3.5 6.2, 7.3)."""
    if vr == "OW" or vr is None:
        return max(2, allocated // 8)
    return _WORDS.get(vr, 1)


@frozen
class NativePixels:
    """Frames end to end, without anything between them (PS3.5 8.1.1)."""

    count: int
    start: int
    length: int
    bits: int
    """Of a frame: it need not begin at a byte, where a sample has one bit."""
    word: int = 1
    """Bytes whose order is to be turned round."""

    @property
    def is_plain(self) -> bool:
        """Whether a frame is bytes as they lie."""
        return self.word == 1 and self.bits % 8 == 0

    def read(self, frame: int) -> Reading[bytes]:
        """See `PixelData.read`. A frame that begins within a byte is shifted to begin one, and its
        last byte is filled with zeros."""
        _check(frame, self.count)
        first, end = frame * self.bits, (frame + 1) * self.bits
        at, until = first // 8, -(-end // 8)
        if until > self.length:
            raise BrokenInstanceError("the pixel data of an instance are shorter than its frames")
        _check_size(until - at)
        begin = at - at % self.word
        stop = min(until + -until % self.word, self.length)
        data = yield self.start + begin, self.start + stop
        if self.word > 1:
            data = turned(data, self.word)
        data = data[at - begin : until - begin]
        if first % 8 == 0 and end % 8 == 0:
            return data
        bits = int.from_bytes(data, "little") >> first % 8
        size = -(-self.bits // 8)
        return (bits & ((1 << self.bits) - 1)).to_bytes(size, "little")


@frozen
class TabledPixels:
    """Encapsulated frames, of which an offset table says where each begins."""

    count: int
    start: int
    """Where the first fragment begins."""
    end: int
    offsets: array[int]

    def read(self, frame: int) -> Reading[bytes]:
        """See `PixelData.read`."""
        _check(frame, self.count)
        at = self.start + self.offsets[frame]
        last = frame + 1 == self.count
        until = self.end if last else self.start + self.offsets[frame + 1]
        if not self.start <= at < until <= self.end:
            raise BrokenInstanceError("the offset table of an instance is wrong")
        spans = yield from _fragments(at, until)
        return (yield from _joined(spans))


@frozen
class WalkedPixels:
    """Encapsulated frames that had to be looked for."""

    starts: array[int]
    """Of the fragments."""
    ends: array[int]
    frames: array[int]
    """The first fragment of each frame, and at last the number of fragments."""

    @property
    def count(self) -> int:
        """Frames."""
        return len(self.frames) - 1

    def read(self, frame: int) -> Reading[bytes]:
        """See `PixelData.read`."""
        _check(frame, self.count)
        first, end = self.frames[frame : frame + 2]
        return (yield from _joined((self.starts[first:end], self.ends[first:end])))


def _encapsulated(header: Header, count: int, size: int) -> Reading[PixelData]:
    at = header.pixels_at or 0
    kind, length = _item((yield at, at + _ITEM.size))
    start = at + _ITEM.size + length
    if kind != _ITEM_TAG or start > size or length > 4 * FRAMES:
        raise BrokenInstanceError("the pixel data of an instance begin with no offset table")
    offsets = _numbers("Q", _extended_offsets(header))
    if len(offsets) != count:
        offsets = _numbers("I", (yield at + _ITEM.size, start) if length else b"")
    if count == 1 and not offsets:
        offsets = array("Q", [0])
    if len(offsets) == count:
        return TabledPixels(count, start, size, offsets)
    spans = yield from _fragments(start, size)
    found = len(spans[0])
    frames = array("Q", range(found + 1))
    if found > count:
        frames = yield from _by_their_ends(spans)
    if len(frames) - 1 != count:
        raise BrokenInstanceError("where the frames of an instance begin cannot be told")
    return WalkedPixels(*spans, frames)


def _fragments(at: int, until: int) -> Reading[_Spans]:
    """The fragments from here to there, or to the end of the pixel data."""
    starts, ends = array("Q"), array("Q")
    while at + _ITEM.size <= until:
        kind, length = _item((yield at, at + _ITEM.size))
        if kind == _END_TAG:
            break
        at += _ITEM.size
        if kind != _ITEM_TAG or at + length > until or len(starts) >= FRAGMENTS:
            raise BrokenInstanceError("the fragments of an instance make no sense")
        starts.append(at)
        at += length
        ends.append(at)
    return starts, ends


def _by_their_ends(spans: _Spans) -> Reading[array[int]]:
    """The first fragment of each frame, where fragments tell that they end an image."""
    frames = array("Q", [0])
    for place, (start, end) in enumerate(zip(*spans, strict=True), 1):
        tail = b""
        if start < end:
            tail = yield max(start, end - _TAIL), end
        if _END_OF_IMAGE in tail:
            frames.append(place)
    return frames


def _joined(spans: _Spans) -> Reading[bytes]:
    _check_size(sum(spans[1]) - sum(spans[0]))
    pieces = []
    for start, end in zip(*spans, strict=True):
        if start < end:
            pieces.append((yield start, end))
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _item(raw: bytes) -> tuple[tuple[int, int], int]:
    if len(raw) != _ITEM.size:
        raise BrokenInstanceError("the pixel data of an instance break off")
    group, element, length = _ITEM.unpack(raw)
    return (group, element), length


def _extended_offsets(header: Header) -> bytes:
    # keep_deferred: else pydicom converts empty values, and raises if their VR is unknown
    tag = BaseTag(_EXTENDED_OFFSETS)
    if tag not in header.elements.keys():  # noqa: SIM118 - its own ``in`` is ten times slower
        return b""
    element = header.elements.get_item(tag, keep_deferred=True)
    if not isinstance(element, RawDataElement) or not isinstance(element.value, bytes):
        return b""
    return element.value


def _numbers(kind: str, raw: bytes) -> array[int]:
    """Little endian numbers of 4 (``I``) or 8 (``Q``) bytes; none if they do not add up."""
    found = array(kind)
    if len(raw) % found.itemsize == 0:
        found.frombytes(raw)
        if sys.byteorder == "big":
            found.byteswap()
    return array("Q", found)


def _check(frame: int, count: int) -> None:
    if not 0 <= frame < count:
        raise NotFoundError(f"there are frames 1 to {count}")


def _check_size(size: int) -> None:
    if size > FRAME_READ_BYTES:
        raise BrokenInstanceError("a frame is too large to be given alone: retrieve the instance")


def run(reading: Reading[T], bytes_of: Callable[[int, int], bytes]) -> T:
    """What a reading returns, where its bytes can be had at once."""
    try:
        span = next(reading)
        while True:
            span = reading.send(bytes_of(*span))
    except StopIteration as stop:
        found: T = stop.value
        return found
