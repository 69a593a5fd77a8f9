"""The entropy-coded data of JPEG Lossless out of samples (T.81 annexes F.1.2 and H), by numpy.

Every difference has one code word: looked up, not computed. Code words are joined two by two
while they fit 64 bits, and what is left, some 30,000 for an image of 512 x 512, is laid into
words: 4 ms a megabyte of samples, where a loop in Python takes 800.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from p2pacs.errors import CodingError
from p2pacs.study.compressed.jpeg_headers import HuffmanTable, JpegScan

Samples = NDArray[np.uint16]
"""(rows, columns, components)."""

_Words = NDArray[np.uint64]

_BLOCK: Final = 1 << 16
"""Samples that are coded together: so much fits the processor's cache, and bounds memory."""

_LENGTH_AT: Final = np.uint64(32)
_CODE: Final = np.uint64(0xFFFFFFFF)
_WORD_BITS: Final = 64
_JOINS: Final = 4
"""Sixteen code words in 64 bits are rare: further joins cost more than they spare."""


def code_scan(samples: Samples, scan: JpegScan, precision: int, pad: int, most: int) -> bytes:
    """The entropy-coded data of a scan, restart markers included.

    Args:
        samples: of the scan's components; the point transform is not yet applied.
        scan: out of the headers.
        precision: bits of a sample.
        pad: 1 or 0: what fills the last byte of an interval.
        most: bytes that it may have.

    Raises:
        CodingError: a difference has no code, or it would be longer.
    """
    if scan.shift:
        samples = samples >> np.uint16(scan.shift)
    tables = [code_words(table) for table in scan.tables]
    rows = samples.shape[0]
    interval = scan.restart_rows or rows
    first = 1 << (precision - scan.shift - 1)
    coded = bytearray()
    for number, top in enumerate(range(0, rows, interval)):
        if number:
            coded += bytes((0xFF, 0xD0 + (number - 1) % 8))
        bits = _BitWriter()
        part = samples[top : top + interval]
        step = max(1, _BLOCK // (samples.shape[1] * samples.shape[2]))
        for at in range(0, len(part), step):
            bits.put(_looked_up(_differences(part, at, step, scan.predictor, first), tables))
            if len(coded) + bits.size > most:
                raise CodingError("a JPEG would be longer than it is said to be")
        coded += bits.close(pad).replace(b"\xff", b"\xff\0")
    return bytes(coded)


def _differences(part: Samples, at: int, step: int, predictor: int, first: int) -> Samples:
    """Samples less their predictions modulo 2^16, of some rows of a restart interval (T.81 H.1.2).

    Args:
        part: the interval.
        at: the first of the rows.
        step: how many.
        predictor: selection value.
        first: predicts the first sample.
    """
    x = part[at : at + step]
    made = np.empty(x.shape, np.uint16)
    np.subtract(x[:, 1:], x[:, :-1], out=made[:, 1:])
    above = part[at - 1 : at - 1 + len(x)] if at else part[: len(x) - 1]
    own, target = (x, made) if at else (x[1:], made[1:])
    np.subtract(own[:, 0], above[:, 0], out=target[:, 0])
    if predictor != 1 and len(own):
        target[:, 1:] = own[:, 1:] - _prediction(own, above, predictor)
    if not at:
        made[0, 0] = x[0, 0] - np.uint16(first)
    return made


def _prediction(own: Samples, above: Samples, predictor: int) -> Samples:
    """What predicts all samples but the first of each row, modulo 2^16 (T.81 table H.1)."""
    b, c = above[:, 1:], above[:, :-1]
    if predictor == 2:
        return b
    if predictor == 3:
        return c
    left, up, corner = (side.astype(np.int32) for side in (own[:, :-1], b, c))
    found: NDArray[Any] = left + up - corner
    if predictor == 5:
        found = left + ((up - corner) >> 1)
    elif predictor == 6:
        found = up + ((left - corner) >> 1)
    elif predictor == 7:
        found = (left + up) >> 1
    return found.astype(np.uint16)


def _looked_up(differences: Samples, tables: list[_Words]) -> _Words:
    """The code words of differences in the order of the scan; at the end some of no bits, up to a
    whole number of those that are joined."""
    size = differences.size
    found = np.zeros(size + -size % (1 << _JOINS), np.uint64)
    mine = found[:size].reshape(differences.shape)
    if all(table is tables[0] for table in tables):
        np.take(tables[0], differences, out=mine, mode="clip")
    else:
        for place, table in enumerate(tables):
            mine[..., place] = table[differences[..., place]]
    if not found[:size].all():
        raise CodingError("a JPEG has no code for a difference")
    return found


@lru_cache(maxsize=16)
def code_words(table: HuffmanTable) -> _Words:
    """For each difference modulo 2^16: its bits in the lower half, their number in the upper one;
    0 where the table has no code.

    Raises:
        CodingError: the table cannot be.
    """
    category, extra = _categories()
    codes, lengths = np.zeros(17, np.uint64), np.zeros(17, np.uint64)
    for value, code, bits in table.codes():
        follow = value if value < 16 else 0  # 32768 needs no further bits (T.81 H.1.2.2)
        codes[value] = code << follow
        lengths[value] = (bits + follow) << 32
    found: _Words = np.where(lengths[category] > 0, codes[category] | extra | lengths[category], 0)
    found.flags.writeable = False
    return found


@cache
def _categories() -> tuple[NDArray[np.uint8], _Words]:
    """Of each difference modulo 2^16: its category, and the bits that follow the category's code
    (T.81 table H.2, F.1.2.1)."""
    value = np.arange(1 << 16, dtype=np.int64)
    signed = np.where(value < 1 << 15, value, value - (1 << 16))
    magnitude = np.abs(signed)
    category = np.zeros(1 << 16, np.uint8)
    for bit in range(16):
        category[magnitude >> bit > 0] = bit + 1
    low = np.where(signed < 0, signed - 1, signed) & ((1 << category.astype(np.int64)) - 1)
    low[1 << 15] = 0
    return category, low.astype(np.uint64)


class _BitWriter:
    """Code words end to end, most significant bit first."""

    def __init__(self) -> None:
        self._done: list[bytes] = []
        self.size = 0
        """Bytes so far, before stuffing."""
        self._word = np.uint64(0)
        self._bits = 0

    def put(self, words: _Words) -> None:
        """Add code words; a multiple of 2^`_JOINS` of them."""
        bits, value = words >> _LENGTH_AT, words & _CODE
        for _ in range(_JOINS):
            after = bits[1::2]
            joined = bits[::2] + after
            if int(joined.max()) > _WORD_BITS:
                break
            value = (value[::2] << after) | value[1::2]
            bits = joined
        ends = np.cumsum(bits)
        ends += np.uint64(self._bits)
        total = int(ends[-1])
        found = _laid(value, bits, ends)
        found[0] |= self._word
        whole = total // _WORD_BITS
        self._done.append(found[:whole].astype(">u8").tobytes())
        self.size += whole * 8
        self._word, self._bits = found[whole], total % _WORD_BITS

    def close(self, pad: int) -> bytes:
        """All of it, the last byte filled."""
        left = int(self._word) >> (_WORD_BITS - self._bits)
        spare = -self._bits % 8
        left = (left << spare) | (((1 << spare) - 1) if pad else 0)
        return b"".join((*self._done, left.to_bytes((self._bits + spare) // 8, "big")))


def _laid(value: _Words, bits: _Words, ends: _Words) -> _Words:
    """Values of at most 64 bits each, laid into words where their bits end."""
    six, mask, full = np.uint64(6), np.uint64(63), np.uint64(_WORD_BITS)
    starts = ends - bits
    word = (starts >> six).astype(np.intp)
    room = full - (starts & mask)
    found = np.zeros(int(ends[-1]) // _WORD_BITS + 2, np.uint64)
    spills = np.flatnonzero(bits > room)
    over = bits[spills] - room[spills]
    here = value << ((room - bits) & mask)
    here[spills] = value[spills] >> over
    # Every word has a value that begins in it, as none is longer than a word.
    begins = np.flatnonzero(np.diff(word, prepend=-1))
    found[word[begins]] = np.bitwise_or.reduceat(here, begins)
    found[word[spills] + 1] |= value[spills] << (full - over)
    return found
