"""Run lengths (PS3.5 G.3.1) as the usual encoders choose them, by numpy.

The standard leaves encoders a choice: whether two equal bytes are a run, and what becomes of the
129th. Where they agree: rows are packed one by one, a packet has at most 128 bytes, two equal bytes
at the end of a row are a run.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

_MOST: Final = 128
"""Bytes of a packet."""

_BLOCK: Final = 1 << 18
"""Bytes that are packed together: each takes some 40 bytes of memory meanwhile."""

_NEARLY: Final = 120
"""A literal may be so long that GDCM does not see what follows it."""

_Runs = tuple[NDArray[np.intp], NDArray[np.bool_]]
"""Where each run begins; whether it is what was left of a longer one."""


@frozen
class _Packets:
    """Of a plane, end to end."""

    data: NDArray[np.uint8]
    source: NDArray[Any]
    """Where in the plane each begins."""
    target: NDArray[Any]
    """Where in the data."""


class PackRule(IntEnum):
    """Which runs an encoder makes of two equal bytes within a row."""

    DCMTK = 0
    """None; the byte after 128 equal ones is a packet of its own."""
    PYDICOM = 1
    """Always; the byte after 128 equal ones likewise."""
    GDCM = 2
    """Where no literal precedes them; the byte after 128 equal ones begins a literal. Literals of
    nearly 128 bytes end by what it sees of their last ones (`_gdcm_row`)."""


def pack_rows(plane: NDArray[np.uint8], rule: PackRule) -> bytes:
    """The packets of a plane, (rows, columns), without padding."""
    step = max(1, _BLOCK // plane.shape[1])
    return b"".join(_block(plane[at : at + step], rule) for at in range(0, len(plane), step))


def _block(plane: NDArray[np.uint8], rule: PackRule) -> bytes:
    columns = plane.shape[1]
    flat = np.ascontiguousarray(plane).reshape(-1)
    starts, left = _runs(flat, columns)
    lengths = np.diff(starts, append=flat.size)
    rows = np.zeros(flat.size + 1, np.bool_)
    rows[::columns] = True  # looked up: dividing each place takes three times as long
    at_start = rows[starts]
    repeated = _repeated(lengths, at_start, rows[starts + lengths], rule)
    begins = repeated | at_start
    begins[1:] |= repeated[:-1]
    if rule is not PackRule.GDCM:
        begins[1:] |= left[:-1]
    packets = _packed(flat, starts[begins], repeated[begins])
    if rule is PackRule.GDCM:
        return b"".join(_gdcm_rows(flat, columns, starts[begins], repeated[begins], packets))
    return packets.data.tobytes()


def _runs(flat: NDArray[np.uint8], columns: int) -> _Runs:
    """Runs of equal bytes within a row; the byte after a multiple of 128 is one by itself."""
    new = np.empty(flat.size, np.bool_)
    new[0] = True
    np.not_equal(flat[1:], flat[:-1], out=new[1:])
    new[::columns] = True
    starts = np.flatnonzero(new)
    lengths = np.diff(starts, append=flat.size)
    odd = np.flatnonzero((lengths % _MOST == 1) & (lengths > 1))
    single = starts[odd] + lengths[odd] - 1
    if not single.size:
        return starts, np.zeros(starts.size, np.bool_)
    new[single] = True
    starts = np.flatnonzero(new)
    return starts, np.isin(starts, single, assume_unique=True)


def _repeated(
    lengths: NDArray[Any], at_start: NDArray[np.bool_], at_end: NDArray[np.bool_], rule: PackRule
) -> NDArray[np.bool_]:
    """Which runs are replicated; the others are literals."""
    long, two = lengths > 2, lengths == 2
    found: NDArray[np.bool_] = long | two
    if rule is PackRule.PYDICOM:
        return found
    found = long | (two & at_end)
    if rule is PackRule.GDCM:
        # Two after two: all are runs, or none, by what is before the first of them.
        known = ~two | at_start
        before = np.maximum.accumulate(np.where(known, np.arange(lengths.size), 0))
        found |= two & (long | (two & at_start))[before]
    return found


def _packed(flat: NDArray[np.uint8], begins: NDArray[Any], repeated: NDArray[np.bool_]) -> _Packets:
    """Stretches as packets of at most 128 bytes."""
    lengths = np.diff(begins, append=flat.size)
    counts = -(-lengths // _MOST)
    size = np.full(int(counts.sum()), _MOST)
    last = np.cumsum(counts) - 1
    size[last] = lengths - (counts - 1) * _MOST
    is_run = np.repeat(repeated, counts)
    source = np.cumsum(size) - size
    taken = np.where(is_run, 2, size + 1)
    target = np.cumsum(taken) - taken
    out = np.empty(int(taken.sum()), np.uint8)
    out[target] = np.where(is_run, 257 - size, size - 1)
    out[target[is_run] + 1] = flat[source[is_run]]
    literal = np.flatnonzero(np.repeat(~is_run, size))
    moved = np.repeat((target + 1 - source)[~is_run], size[~is_run])
    out[literal + moved] = flat[literal]
    return _Packets(out, source, target)


def _gdcm_rows(
    flat: NDArray[np.uint8],
    columns: int,
    begins: NDArray[Any],
    repeated: NDArray[np.bool_],
    packets: _Packets,
) -> Iterator[bytes]:
    """What `_packed` made, but for rows with long literals."""
    long = ~repeated & (np.diff(begins, append=flat.size) >= _NEARLY)
    starts = packets.target[packets.source % columns == 0]
    done = 0
    for row in np.unique(begins[long] // columns).tolist():
        yield packets.data[done : starts[row]].tobytes()
        yield _gdcm_row(flat[row * columns : (row + 1) * columns].tobytes())
        done = starts[row + 1] if row + 1 < starts.size else packets.data.size
    yield packets.data[done:].tobytes()


def _gdcm_row(row: bytes) -> bytes:
    """The packets of a row, byte by byte."""
    out, at = bytearray(), 0
    while at < len(row):
        most = min(_MOST, len(row) - at)
        size = 1
        while size < most and row[at + size] == row[at]:
            size += 1
        if size > 1:
            out += bytes((257 - size, row[at]))
        else:
            size = _gdcm_literal(row, at, most)
            out.append(size - 1)
            out += row[at : at + size]
        at += size
    return bytes(out)


def _gdcm_literal(row: bytes, at: int, most: int) -> int:
    """Bytes of a literal: it ends before two equal ones, unless it sees that they are no more."""
    for size in range(1, most):
        if row[at + size] == row[at + size - 1] and not (
            size + 1 < most and row[at + size] != row[at + size + 1]
        ):
            return size - 1
    return most
