"""A picture of a run: how much of each uplink was used over time."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from attrs import frozen

from scripts.lab.figures import SwarmOutcome
from scripts.lab.trace import Floats, Trace
from scripts.program import ScriptError

BIN: Final = 0.5
"""Seconds that one cell covers."""


@frozen(eq=False)
class Panel:
    """One run."""

    title: str
    names: tuple[str, ...]
    ends: Mapping[str, float]
    """Client to seconds from the start until it had all."""
    use: Floats
    """Part of each uplink that was used, shape (members, bins)."""

    @classmethod
    def of(cls, title: str, trace: Trace, outcome: SwarmOutcome, rates: Mapping[str, int]) -> Self:
        """From what the router counted."""
        bins = math.ceil((outcome.end - outcome.begin) / BIN)
        edges = [outcome.begin + BIN * number for number in range(bins + 1)]
        sent = np.array([trace.at("up", edge) for edge in edges])
        rows = [trace.names.index(name) for name in rates]
        most = np.array(list(rates.values()))[:, None] / 8 * BIN
        ends = {name: end - outcome.begin for name, end in outcome.ends.items()}
        return cls(title, tuple(rates), ends, np.diff(sent[:, rows], axis=0).T / most)


def plot(file: Path, panels: Sequence[Panel]) -> None:
    """Writes the picture of these runs, one below the other, as its name says (svg, png).

    Raises:
        ScriptError: matplotlib is not installed.
    """
    try:
        figure: Any = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise ScriptError("matplotlib is not installed: pip install 'p2pacs[bench]'") from error
    heights = [1.2 + 0.22 * len(panel.names) for panel in panels]
    made = figure.Figure(figsize=(10, sum(heights)), layout="constrained")
    axes = made.subplots(len(panels), squeeze=False, height_ratios=heights, sharex=True)[:, 0]
    for panel, axis in zip(panels, axes, strict=True):
        members, bins = panel.use.shape
        extent = (0.0, bins * BIN, members - 0.5, -0.5)
        shown = axis.imshow(
            panel.use, aspect="auto", extent=extent, vmin=0, vmax=1, cmap="magma",
            interpolation="nearest",
        )  # fmt: skip
        ends = [(end, panel.names.index(name)) for name, end in panel.ends.items()]
        axis.plot(
            *zip(*ends, strict=True), "|", color="deepskyblue", markersize=9, markeredgewidth=2
        )
        axis.set_yticks(range(members), panel.names, fontsize=8)
        axis.set_title(f"{panel.title}: last client after {max(panel.ends.values()):.1f} s")
        axis.set_xlabel("seconds from the common start (a blue mark: the client has all)")
        made.colorbar(shown, ax=axis, label="part of the uplink used")
    made.savefig(file, dpi=120)
