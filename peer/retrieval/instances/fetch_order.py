"""In what order a study comes while somebody waits to look at it. Pure.

Previews come coarse to fine, so that a contact sheet fills evenly; what is named as looked at
comes from its middle outwards, at every level of all its images before the next finer one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final, TypeVar

from peer.retrieval.instances.live_index import Known

STRIDES: Final = (8, 4, 2, 1)
"""After the middle of a series: every so many images, counted from the middle."""

T = TypeVar("T")


def turn(number: int, count: int) -> tuple[int, int]:
    """When the image at place ``number`` of ``count`` comes: (round, distance from the middle).

    Round 0 is the middle alone, round 1 every eighth image, and so on.
    """
    distance = abs(number - count // 2)
    if not distance:
        return 0, 0
    return next(r for r, s in enumerate(STRIDES, 1) if distance % s == 0), distance


def spread(items: Sequence[T]) -> list[T]:
    """The items coarse to fine: the middle, then every eighth, fourth, second, and the rest."""
    count = len(items)
    return [items[n] for n in sorted(range(count), key=lambda n: turn(n, count))]


def outwards(items: Sequence[T]) -> list[T]:
    """The items from the middle outwards."""
    middle = len(items) // 2
    return [items[n] for n in sorted(range(len(items)), key=lambda n: abs(n - middle))]


def _order(one: Known) -> tuple[int, int, int]:
    return one.series, one.place, one.number


def first_of(known: Iterable[Known]) -> Known | None:
    """The first instance of the first series; None if there is none."""
    return min(known, key=_order, default=None)


def in_order(known: Iterable[Known]) -> list[list[Known]]:
    """The instances of each series, as their Instance Numbers say."""
    ordered = sorted(known, key=_order)
    return [list(series) for _, series in groupby(ordered, key=lambda one: one.series)]


def coarse_to_fine(known: Iterable[Known]) -> list[Known]:
    """The instances: the middle of every series, then every eighth of each, and so on."""
    turns = [
        (*turn(place, len(series)), one)
        for series in in_order(known)
        for place, one in enumerate(series)
    ]
    turns.sort(key=lambda entry: (entry[0], entry[2].series, entry[1]))
    return [one for _, _, one in turns]


def previews(known: Iterable[Known]) -> list[int]:
    """The chunks of all previews, coarse to fine."""
    coarsest = (one.levels[0][1] for one in coarse_to_fine(known) if len(one.levels) > 1)
    return list(dict.fromkeys(number for chunks in coarsest for number in spread(chunks)))


def looked_at(shown: Iterable[Known]) -> Iterator[int]:
    """The chunks of what is looked at: its previews, then its images; some may come twice."""
    ordered = [one for series in in_order(shown) for one in series]
    yield from previews(ordered)
    by_level = [(dict(one.levels), one) for one in outwards(ordered)]
    finer = {level for levels, one in by_level for level in levels}
    for level in sorted(finer, reverse=True):
        for levels, _ in by_level:
            yield from levels.get(level, ())
