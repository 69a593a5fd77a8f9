"""What the router counts, sampled over time: written as it runs, read by whoever wants figures."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from attrs import frozen

FIELDS: Final = ("up", "down", "up_dropped", "down_dropped", "lost")
"""Of each line: bytes sent up and down, packets dropped by either queue, packets lost."""

INTERVAL: Final = 0.1
"""Seconds between two samples."""

Floats = npt.NDArray[np.float64]


def record(time: float, counters: Iterable[float]) -> bytes:
    """One sample: the time (Unix), then the `FIELDS` of each line in turn."""
    return array("d", [time, *counters]).tobytes()


@frozen(eq=False)
class Trace:
    """Samples of all lines; counters begin with the router and only grow."""

    names: tuple[str, ...]
    times: Floats
    """Unix time of each sample, shape (samples,)."""
    counters: Floats
    """Shape (samples, lines, FIELDS)."""

    @classmethod
    def read(cls, path: Path, names: Sequence[str]) -> Trace:
        """What was written so far; a sample that is half written is left out."""
        width = 1 + len(names) * len(FIELDS)
        values = np.frombuffer(path.read_bytes()[: path.stat().st_size // (8 * width) * 8 * width])
        table = values.reshape(-1, width)
        return cls(tuple(names), table[:, 0], table[:, 1:].reshape(-1, len(names), len(FIELDS)))

    def at(self, field: str, time: float) -> Floats:
        """A counter of every line at a time, between two samples by proportion."""
        columns = self.counters[:, :, FIELDS.index(field)]
        return np.array([np.interp(time, self.times, column) for column in columns.T])

    def between(self, field: str, begin: float, end: float) -> dict[str, float]:
        """By how much a counter of every line grew."""
        grown = self.at(field, end) - self.at(field, begin)
        return dict(zip(self.names, grown.tolist(), strict=True))
