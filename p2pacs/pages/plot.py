"""Bars over time, as numbers that a template draws as SVG. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from attrs import frozen

WIDTH: Final = 720
HEIGHT: Final = 240
LEFT: Final = 96
"""For the labels of the scale."""
BOTTOM: Final = 28
"""For the times."""
TOP: Final = 12
LABELS: Final = 6
"""Times below the axis, at most: more run into each other."""


@frozen
class PlotBar:
    """A rectangle, in units of the drawing."""

    x: float
    y: float
    width: float
    height: float
    series: int
    """Which series it is of, from 0."""


@frozen
class PlotTick:
    """A label at a place of an axis."""

    at: float
    value: float


@frozen
class Plot:
    """All that is drawn."""

    bars: Sequence[PlotBar]
    scale: Sequence[PlotTick]
    """By value, from below."""
    times: Sequence[PlotTick]
    """By place; the value is the number of the bucket."""


def ticks(top: float, most: int = 5) -> list[float]:
    """Round values from 0 on, of which the last one is not below ``top``: steps of 1, 2 or 5 times
    a power of ten.

    Args:
        top: the largest value, not negative.
        most: steps at most, at least 2.
    """
    if top <= 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(top / most))
    for factor in (1, 2, 5, 10, 20):
        step = factor * power
        count = max(1, math.ceil(top / step - 1e-9))
        if count <= most:
            break
    return [step * number for number in range(count + 1)]


def plot_of(buckets: Sequence[Sequence[float]]) -> Plot:
    """Stacked bars, one for each bucket, side by side.

    Args:
        buckets: of each the values of all series; none is negative.
    """
    scale = ticks(max((sum(values) for values in buckets), default=0.0))
    height, width = HEIGHT - TOP - BOTTOM, WIDTH - LEFT
    unit, each = height / scale[-1], width / max(1, len(buckets))
    bars = []
    for place, values in enumerate(buckets):
        base = float(HEIGHT - BOTTOM)
        for series, value in enumerate(values):
            tall = value * unit
            if tall > 0:
                base -= tall
                x, wide = LEFT + place * each + 0.1 * each, 0.8 * each
                bars.append(
                    PlotBar(round(x, 2), round(base, 2), round(wide, 2), round(tall, 2), series)
                )
    step = max(1, math.ceil(len(buckets) / LABELS))
    times = [
        PlotTick(round(LEFT + (place + 0.5) * each, 2), place)
        for place in range(0, len(buckets), step)
    ]
    marks = [PlotTick(round(HEIGHT - BOTTOM - value * unit, 2), value) for value in scale]
    return Plot(bars, marks, times)
