"""JPEG Lossless streams by T.81 to the letter, bit by bit, without the code under test."""

from __future__ import annotations

import struct
from collections import Counter
from typing import Any

from attrs import frozen
from hypothesis import strategies as st

from tests.p2pacs.study.images.made import CONTENTS, values


@frozen
class MadeJpeg:
    """How a stream is made."""

    rows: int = 12
    columns: int = 17
    components: int = 1
    precision: int = 12
    predictor: int = 1
    shift: int = 0
    restart_rows: int = 0
    interleaved: bool = True
    pad: int = 1
    fill: int = 0
    """Fill bytes before the end."""
    comment: bytes = b""
    trailer: bytes = b""
    content: str = "smooth"
    seed: int = 1

    @property
    def samples(self) -> Any:
        size = (self.rows, self.columns, self.components)
        found = values(size, max(8, self.precision), self.content, self.seed)
        return (found % (1 << self.precision)) >> self.shift << self.shift

    def stream(self) -> bytes:
        out = b"\xff\xd8" + segment(0xFE, self.comment) * bool(self.comment)
        ids = range(1, self.components + 1)
        frame = struct.pack(">BHHB", self.precision, self.rows, self.columns, self.components)
        out += segment(0xC3, frame + b"".join(bytes((each, 0x11, 0)) for each in ids))
        if self.restart_rows:
            out += segment(0xDD, struct.pack(">H", self.restart_rows * self.columns))
        scans = [list(ids)] if self.interleaved else [[each] for each in ids]
        for number, scan in enumerate(scans):
            out += self._scan(scan, number % 4)
        return out + b"\xff" * self.fill + b"\xff\xd9" + self.trailer

    def _scan(self, ids: list[int], table: int) -> bytes:
        intervals = self._intervals([each - 1 for each in ids])
        codes, counts, symbols = huffman([category(d) for part in intervals for d in part])
        head = segment(0xC4, bytes([table]) + counts + symbols)
        chosen = b"".join(bytes((each, table << 4)) for each in ids)
        head += segment(0xDA, bytes([len(ids)]) + chosen + bytes((self.predictor, 0, self.shift)))
        coded = []
        for part in intervals:
            bits = "".join(codes[category(d)] + extra(d) for d in part)
            bits += str(self.pad) * (-len(bits) % 8)
            raw = int(bits, 2).to_bytes(len(bits) // 8, "big") if bits else b""
            coded.append(raw.replace(b"\xff", b"\xff\0"))
        out = coded[0]
        for number, part_bytes in enumerate(coded[1:]):
            out += bytes((0xFF, 0xD0 + number % 8)) + part_bytes
        return head + out

    def _intervals(self, places: list[int]) -> list[list[int]]:
        x = (self.samples >> self.shift).astype(int)
        step = self.restart_rows or self.rows
        return [
            [
                self._difference(x[..., place], row, column, top)
                for row in range(top, min(top + step, self.rows))
                for column in range(self.columns)
                for place in places
            ]
            for top in range(0, self.rows, step)
        ]

    def _difference(self, x: Any, row: int, column: int, top: int) -> int:
        if row == top:
            first = 1 << (self.precision - self.shift - 1)
            predicted = int(x[row, column - 1]) if column else first
        elif column == 0:
            predicted = int(x[row - 1, 0])
        else:
            a, b, c = (
                int(each)
                for each in (x[row, column - 1], x[row - 1, column], x[row - 1, column - 1])
            )
            predicted = {
                1: a,
                2: b,
                3: c,
                4: a + b - c,
                5: a + ((b - c) >> 1),
                6: b + ((a - c) >> 1),
                7: (a + b) >> 1,
            }[self.predictor]
        found = (int(x[row, column]) - predicted) & 0xFFFF
        return found if found <= 32768 else found - 65536


def segment(marker: int, said: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(said) + 2) + said


def category(difference: int) -> int:
    return abs(difference).bit_length()


def extra(difference: int) -> str:
    size = category(difference)
    if size in (0, 16):
        return ""
    return f"{difference if difference > 0 else difference + (1 << size) - 1:0{size}b}"


def huffman(found: list[int]) -> tuple[dict[int, str], bytes, bytes]:
    """A code: frequent categories have short words, and no word is all ones (T.81 C.2)."""
    order = [each for each, _ in Counter(found).most_common()]
    lengths = [*range(1, 16), 16, 16]
    counts = [0] * 16
    for length in lengths[: len(order)]:
        counts[length - 1] += 1
    if len(order) == 17:  # sixteen bits: all ones must not be one of them
        counts = [0] * 4 + [17] + [0] * 11
    codes, code, at = {}, 0, 0
    for length, count in enumerate(counts, 1):
        for each in order[at : at + count]:
            codes[each] = f"{code:0{length}b}"
            code += 1
        at += count
        code <<= 1
    return codes, bytes(counts), bytes(order)


@st.composite
def jpegs(draw: st.DrawFn, side: int = 24) -> MadeJpeg:
    precision = draw(st.integers(2, 16))
    components = draw(st.sampled_from([1, 1, 3]))
    return MadeJpeg(
        rows=draw(st.integers(1, side)),
        columns=draw(st.integers(1, side)),
        components=components,
        precision=precision,
        predictor=draw(st.integers(1, 7)),
        shift=draw(st.sampled_from([0, 0, min(3, precision - 1)])),
        restart_rows=draw(st.sampled_from([0, 0, 1, 5])),
        interleaved=draw(st.booleans()),
        pad=draw(st.sampled_from([0, 1])),
        fill=draw(st.integers(0, 3)),
        comment=draw(st.binary(max_size=20)),
        trailer=draw(st.sampled_from([b"", b"\0", b"\xff", b"\xff\xd9abc"])),
        content=draw(st.sampled_from(CONTENTS)),
        seed=draw(st.integers(0, 99)),
    )
