"""Which parts of a study are here, as a row of cells: however many chunks, a few hundred. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import Final

from attrs import frozen

from p2pacs.bitfield import Bitfield

CELLS: Final = 240
"""Cells at most: one is a few pixels on the narrowest screen."""

STEPS: Final = 9
"""How full a cell is, is told in so many steps: one character each."""


@frozen
class CellRun:
    """Neighbouring cells that are equally full."""

    first: int
    count: int
    step: int


def chunk_map(have: Bitfield, total: int, cells: int = CELLS) -> str:
    """How full each cell is: a digit from 0 (nothing) to `STEPS` (all), in the order of the study.

    Args:
        have: numbers of the chunks that are here.
        total: chunks of the study; 0 while unknown.
        cells: so many at most.
    """
    count = min(cells, total)
    bounds = [number * total // count for number in range(count + 1)] if count else []
    return "".join(
        str(STEPS * have.count_range(first, end) // (end - first))
        for first, end in pairwise(bounds)
    )


def runs(digits: str) -> Iterator[CellRun]:
    """The map as few rectangles; empty cells are left out."""
    first = 0
    for digit, group in groupby(digits):
        count = len(list(group))
        if digit != "0":
            yield CellRun(first, count, int(digit))
        first += count
