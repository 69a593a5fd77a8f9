"""Pictures: what part of each uplink was used, and a file that holds it."""

from pathlib import Path

import numpy as np
import pytest

from scripts.lab.figures import SwarmOutcome
from scripts.lab.plot import Panel, plot
from scripts.lab.trace import Trace, record
from scripts.program import ScriptError


def panel(tmp_path: Path) -> Panel:
    """One member sends at half of its rate, the other not at all; both have all after 2 s."""
    rows = [record(100 + at / 10, [5e3 * at, 0, 0, 0, 0, 0, 0, 0, 0, 0]) for at in range(41)]
    (tmp_path / "trace").write_bytes(b"".join(rows))
    trace = Trace.read(tmp_path / "trace", ["busy", "idle"])
    outcome = SwarmOutcome(begin=101.0, ends={"busy": 102.5, "idle": 103.0}, size=1)
    return Panel.of("a run", trace, outcome, {"busy": 800_000, "idle": 800_000})


def test_a_cell_is_the_part_of_the_uplink_that_was_used(tmp_path: Path) -> None:
    made = panel(tmp_path)
    assert made.ends == {"busy": 1.5, "idle": 2.0}
    assert np.allclose(made.use, [[0.5] * 4, [0.0] * 4])


@pytest.mark.parametrize("name", ["a.svg", "a.png"])
def test_the_picture_is_written_as_its_name_says(tmp_path: Path, name: str) -> None:
    pytest.importorskip("matplotlib")
    plot(tmp_path / name, [panel(tmp_path), panel(tmp_path)])
    head = (tmp_path / name).read_bytes()[:300]
    assert b"<svg" in head or b"PNG" in head


def test_a_missing_matplotlib_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ScriptError, match="bench"):
        plot(tmp_path / "a.svg", [panel(tmp_path)])
