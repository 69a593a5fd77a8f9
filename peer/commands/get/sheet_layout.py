"""What comes on the contact sheet of a study, before all of it is here. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby
from typing import Final

from attrs import field, frozen

MOST: Final = 400
"""Cells of a sheet: as many as a screen can show and a person look through."""

FEW: Final = 16
"""A study of so few instances shows the frames of each, a larger one the middle frame."""

EARLY: Final = 8
"""A first sheet is of use as soon as one of so many images is on it."""


@frozen
class Item:
    """An instance, as the stream of levels tells of it."""

    number: int
    series: int
    place: int
    """Its turn within its series."""
    frames: int
    """That can be shown; 0 if there is nothing to show."""


@frozen
class Cell:
    """One place on a sheet."""

    number: int
    """Of the instance."""
    frame: int
    """From 1; 0 if there is nothing to show."""
    series: int
    label: str
    early: bool = field(eq=False)
    """Whether it is asked for before others: one of every `EARLY` images."""


@frozen
class Layout:
    """What is on a sheet."""

    cells: tuple[Cell, ...]
    images: int
    """Of the study, all that could be on it."""
    stride: int
    """One of so many of each series is."""


def every(count: int, stride: int) -> range:
    """The places of every so many of ``count`` images, counted from the middle one."""
    return range(count // 2 % stride, count, stride)


def choose(items: Sequence[Item]) -> Layout:
    """What comes on a sheet: all images, or every second, fourth, … of each series.

    These strides are those in which previews come (`peer.retrieval.instances.fetch_order`).
    """
    ordered = sorted(items, key=lambda item: (item.series, item.place, item.number))
    few = len(items) <= FEW
    rows = [
        _SeriesRow(list(each), few=few) for _, each in groupby(ordered, lambda item: item.series)
    ]
    longest = max((row.images for row in rows), default=0)
    stride = 1
    while stride < longest and sum(len(every(row.images, stride)) for row in rows) > MOST:
        stride *= 2
    cells = [cell for row in rows for cell in row.cells(stride)]
    if len(cells) > MOST:  # more series than cells
        cells = [cells[place * len(cells) // MOST] for place in range(MOST)]
    return Layout(tuple(cells), sum(row.images for row in rows), stride)


class _SeriesRow:
    """One series: its instances, or the frames of each, one after the other."""

    def __init__(self, items: Sequence[Item], *, few: bool) -> None:
        self._items = items
        self._few = few
        self._ends = list(accumulate(max(1, item.frames) if few else 1 for item in items))

    @property
    def images(self) -> int:
        """That could be shown, or have a dash."""
        return self._ends[-1]

    def cells(self, stride: int) -> Iterator[Cell]:
        """Every so many of the images."""
        early = every(self.images, max(EARLY, stride))
        for place in every(self.images, stride):
            at = bisect_right(self._ends, place)
            item = self._items[at]
            frame = (item.frames + 1) // 2
            if self._few and frame:
                frame = place - (self._ends[at - 1] if at else 0) + 1
            name = f"{item.place}" if item.place > 0 else f"({item.number})"
            label = name if item.frames < 2 else f"{name} frame {frame}"
            yield Cell(item.number, frame, item.series, label, place in early)
