"""What the router writes, and what is read from it while it still writes."""

from pathlib import Path

import pytest

from scripts.lab.trace import FIELDS, Trace, record


def write(path: Path, rows: int, lines: int) -> None:
    """Samples at 100, 101, …: the counter of line n grows by n+1 times its field's number."""
    made = [
        [row * (line + 1) * field for line in range(lines) for field in range(len(FIELDS))]
        for row in range(rows)
    ]
    path.write_bytes(b"".join(record(100 + at, row) for at, row in enumerate(made)))


def test_counters_are_found_between_samples(tmp_path: Path) -> None:
    write(tmp_path / "trace", rows=4, lines=2)
    trace = Trace.read(tmp_path / "trace", ["a", "b"])
    assert trace.counters.shape == (4, 2, len(FIELDS))
    assert trace.at("down", 101.5).tolist() == pytest.approx([1.5, 3.0])
    assert trace.between("down", 101.0, 102.5) == pytest.approx({"a": 1.5, "b": 3.0})
    assert trace.between("up", 100.0, 103.0) == {"a": 0.0, "b": 0.0}


@pytest.mark.parametrize("cut", [1, 8, 30])
def test_half_a_sample_is_left_out(tmp_path: Path, cut: int) -> None:
    write(tmp_path / "trace", rows=3, lines=1)
    whole = (tmp_path / "trace").read_bytes()
    (tmp_path / "trace").write_bytes(whole[:-cut])
    assert Trace.read(tmp_path / "trace", ["a"]).times.tolist() == [100.0, 101.0]


def test_nothing_yet(tmp_path: Path) -> None:
    (tmp_path / "trace").touch()
    assert len(Trace.read(tmp_path / "trace", ["a"]).times) == 0
