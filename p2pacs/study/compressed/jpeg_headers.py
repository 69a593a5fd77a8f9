"""What a JPEG Lossless stream says of itself (ISO/IEC 10918-1, T.81 annexes B and H). Pure.

The *recipe* of a stream is the stream without its entropy-coded data: tables, restart interval,
markers in any order, whatever follows the end. All that follows from the pixels is left out; the
headers that stay tell how it is made again. So a stream and its recipe are read by one reader.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Final

from attrs import define, field, frozen

from p2pacs.errors import CodingError

COMPONENTS: Final = 4
"""T.81 table B.3 lets a scan have so many."""

_SOI: Final = b"\xff\xd8"
_SOF3, _DHT, _EOI, _SOS, _DNL, _DRI = 0xC3, 0xC4, 0xD9, 0xDA, 0xDC, 0xDD
_OTHER_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {_SOF3, _DHT, 0xC8, 0xCC}
_BARE: Final = frozenset((*range(0xD0, 0xD9), 0x00, 0x01))
"""Markers without a length that have no place among headers."""

_ENTROPY_END: Final = re.compile(rb"\xff[^\x00\xd0-\xd7]", re.DOTALL)
"""A marker that is no restart ends the entropy-coded data (T.81 B.1.1.5)."""


@frozen
class HuffmanTable:
    """A table as a DHT segment has it (T.81 B.2.4.2, C)."""

    counts: bytes
    """Codes of 1 to 16 bits."""
    values: bytes
    """Categories of differences, in the order of their codes."""

    def codes(self) -> Iterator[tuple[int, int, int]]:
        """(Category, code, bits) of each, as T.81 C.2 makes them.

        Raises:
            CodingError: more codes than there are of a length, or of no category.
        """
        code, at = 0, 0
        for bits, count in enumerate(self.counts, 1):
            for value in self.values[at : at + count]:
                if code >> bits or value > 16:
                    raise CodingError("a JPEG has a Huffman table that cannot be")
                yield value, code, bits
                code += 1
            code <<= 1
            at += count


@frozen
class JpegFrameHeader:
    """SOF3."""

    precision: int
    """Bits of a sample, 2 to 16."""
    rows: int
    columns: int
    components: tuple[int, ...]
    """Their identifiers."""


@frozen
class JpegScan:
    """What makes one scan's entropy-coded data out of the samples."""

    at: int
    """Where in the bytes that were read its entropy-coded data begin."""
    end: int
    """Where they end; in a recipe they are empty."""
    components: tuple[int, ...]
    """Places in the frame header."""
    tables: tuple[HuffmanTable, ...]
    """One for each of them."""
    predictor: int
    """Selection value, 1 to 7 (T.81 table H.1)."""
    shift: int
    """Point transform."""
    restart_rows: int
    """Rows of a restart interval; 0: there are none."""


@frozen
class LosslessHeaders:
    """All headers of a stream."""

    frame: JpegFrameHeader
    scans: tuple[JpegScan, ...]


def read_lossless(data: bytes, *, is_recipe: bool) -> LosslessHeaders:
    """The headers of a JPEG Lossless stream, or of its recipe.

    Raises:
        CodingError: it is no such stream, has what is not made again here (hierarchical,
            subsampled, a number of lines behind the scan), or a component in no scan or in two.
    """
    reader = _HeaderReader(data, is_recipe)
    reader.read()
    frame = reader.frame
    if frame is None:
        raise CodingError("a JPEG has no frame header")
    if sorted(place for scan in reader.scans for place in scan.components) != list(
        range(len(frame.components))
    ):
        raise CodingError("a JPEG has not every component in one scan")
    return LosslessHeaders(frame, tuple(reader.scans))


def recipe_of(stream: bytes, headers: LosslessHeaders) -> bytes:
    """A stream without its entropy-coded data."""
    at, kept = 0, []
    for scan in headers.scans:
        kept.append(stream[at : scan.at])
        at = scan.end
    return b"".join((*kept, stream[at:]))


@define
class _HeaderReader:
    data: bytes
    is_recipe: bool
    frame: JpegFrameHeader | None = None
    scans: list[JpegScan] = field(factory=list)
    _tables: dict[int, HuffmanTable] = field(factory=dict)
    _interval: int = 0

    def read(self) -> None:
        if self.data[:2] != _SOI:
            raise CodingError("a frame is not a JPEG")
        at = 2
        while (marker := self._marker(at))[0] != _EOI:
            at = self._segment(*marker)

    def _marker(self, at: int) -> tuple[int, int]:
        """A marker, and where what follows it begins; fill bytes may be before it."""
        start = at
        while self.data[at : at + 1] == b"\xff":
            at += 1
        if at == start or at >= len(self.data) or self.data[at] in _BARE:
            raise CodingError("a JPEG has no marker where one must be")
        return self.data[at], at + 1

    def _segment(self, marker: int, at: int) -> int:
        """Take in what a marker says; where the next one is."""
        if at + 2 > len(self.data):
            raise CodingError("a JPEG ends within its headers")
        length = int.from_bytes(self.data[at : at + 2], "big")
        end = at + length
        if length < 2 or end > len(self.data):
            raise CodingError("a JPEG ends within its headers")
        said = self.data[at + 2 : end]
        if marker in _OTHER_FRAMES or marker == _DNL:
            raise CodingError("a JPEG is of a process that is not made again here")
        if marker == _SOF3:
            self._take_frame(said)
        elif marker == _DHT:
            self._take_tables(said)
        elif marker == _DRI:
            if len(said) != 2:
                raise CodingError("a JPEG has a restart interval that is none")
            self._interval = int.from_bytes(said, "big")
        elif marker == _SOS:
            return self._take_scan(said, end)
        return end

    def _take_frame(self, said: bytes) -> None:
        if self.frame is not None or len(said) < 6 or len(said) != 6 + 3 * said[5]:
            raise CodingError("a JPEG has a frame header that cannot be")
        precision, rows, columns, count = struct.unpack_from(">BHHB", said)
        ids = tuple(said[6::3])
        if not (2 <= precision <= 16 and rows and columns and 0 < count <= COMPONENTS):
            raise CodingError("a JPEG has a frame header that cannot be")
        if len(set(ids)) != count or any(factors != 0x11 for factors in said[7::3]):
            raise CodingError("a JPEG has components that are not made again here")
        self.frame = JpegFrameHeader(precision, rows, columns, ids)

    def _take_tables(self, said: bytes) -> None:
        at = 0
        while at < len(said):
            counts = said[at + 1 : at + 17]
            end = at + 17 + sum(counts)
            if said[at] > 3 or len(counts) < 16 or end > len(said):
                raise CodingError("a JPEG has a Huffman table that cannot be")
            self._tables[said[at]] = HuffmanTable(counts, said[at + 17 : end])
            at = end

    def _take_scan(self, said: bytes, end: int) -> int:
        frame = self.frame
        if frame is None or not said or not said[0] or len(said) != 4 + 2 * said[0]:
            raise CodingError("a JPEG has a scan that cannot be")
        chosen = said[1:-3]
        try:
            components = tuple(frame.components.index(one) for one in chosen[::2])
            tables = tuple(self._tables[choice >> 4] for choice in chosen[1::2])
        except (ValueError, KeyError) as error:
            raise CodingError("a JPEG has a scan of what it does not have") from error
        predictor, _, shift = said[-3:]
        if not 1 <= predictor <= 7 or shift >= frame.precision or self._interval % frame.columns:
            raise CodingError("a JPEG has a scan that is not made again here")
        if len(self.scans) >= COMPONENTS:
            raise CodingError("a JPEG has more scans than components")
        stop = end
        if not self.is_recipe:
            found = _ENTROPY_END.search(self.data, end)
            if found is None:
                raise CodingError("a JPEG breaks off")
            stop = found.start()
        rows = self._interval // frame.columns
        self.scans.append(JpegScan(end, stop, components, tables, predictor, shift, rows))
        return stop
