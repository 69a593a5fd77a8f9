"""What comes on the contact sheet of a study, before all of it is here. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from attrs import field, frozen

MOST: Final = 400
"""Cells of a sheet: as many as a screen can show and a person look through."""

FEW: Final = 16
"""A study of so few instances shows the frames of each, a larger one the middle frame."""

EARLY: Final = 8
"""A first sheet is of use as soon as every so many images are on it."""


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
    """Whether the first sheet waits for it."""


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

    These strides are those in which previews come (`peer.order`).
    """
    ordered = sorted(items, key=lambda item: (item.series, item.place, item.number))
    pages = {
        series: [page for item in group for page in _pages(item, few=len(items) <= FEW)]
        for series, group in groupby(ordered, key=lambda item: item.series)
    }
    longest = max(map(len, pages.values()), default=0)
    stride = 1
    while stride < longest and sum(len(every(len(one), stride)) for one in pages.values()) > MOST:
        stride *= 2
    cells = [cell for one in pages.values() for cell in _cells(one, stride)]
    if len(cells) > MOST:  # more series than cells
        cells = [cells[place * len(cells) // MOST] for place in range(MOST)]
    return Layout(tuple(cells), sum(map(len, pages.values())), stride)


def _pages(item: Item, *, few: bool) -> list[tuple[Item, int]]:
    """(Instance, frame) of what could be shown of an instance."""
    if few and item.frames > 1:
        return [(item, frame) for frame in range(1, item.frames + 1)]
    return [(item, (item.frames + 1) // 2)]


def _cells(pages: Sequence[tuple[Item, int]], stride: int) -> list[Cell]:
    early = set(every(len(pages), max(EARLY, stride)))
    return [
        Cell(item.number, frame, item.series, _label(item, frame), place in early)
        for place in every(len(pages), stride)
        for item, frame in [pages[place]]
    ]


def _label(item: Item, frame: int) -> str:
    return f"{item.number}" if item.frames < 2 else f"{item.number} frame {frame}"
