"""What one scrape reads, before it is text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from attrs import frozen

from p2pacs.metrics.durations import Durations

K = TypeVar("K", bound=str)


@frozen
class MetricReading:
    """One value of a counter or gauge."""

    name: str
    """Without ``p2pacs_`` and ``_total``."""
    value: float
    labels: tuple[str, ...] = ()
    """Values, in the order of the definition."""


@frozen
class Scrape:
    """All that is told at once."""

    readings: tuple[MetricReading, ...]
    durations: Mapping[str, Durations]
    """By the name of a histogram, without ``p2pacs_`` and ``_seconds``."""


def by_label(name: str, values: Mapping[K, float]) -> Iterator[MetricReading]:
    """A reading for each value of the one label that a metric has."""
    for label in sorted(values):
        yield MetricReading(name, values[label], (str(label),))
