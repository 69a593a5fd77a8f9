"""The fluid limit, the goals, and what is printed of a run."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.lab.figures import SwarmOutcome, figures, fluid_seconds, goal
from scripts.lab.trace import Trace, record

UP, DOWN = 800_000, 3_000_000


def adsl(size: int, clients: int, replicas: int = 3) -> float:
    return fluid_seconds(size, [UP] * replicas, [UP] * clients, [DOWN] * clients)


def test_the_limit_of_the_lines() -> None:
    assert adsl(20_000_000, 1) == pytest.approx(160e6 / 2.4e6)  # the origins' uplinks
    assert adsl(8_000_000, 8) == pytest.approx(8 * 64e6 / (11 * 0.8e6))  # all uplinks
    assert adsl(8_000_000, 1, replicas=10) == pytest.approx(64e6 / 3e6)  # the downlink


@given(st.integers(1, 10**9), st.integers(1, 50))
def test_more_clients_never_make_it_faster(size: int, clients: int) -> None:
    assert adsl(size, clients + 1) >= adsl(size, clients) * (1 - 1e-12)


def test_goals_are_those_of_the_next_larger_swarm() -> None:
    asked = [goal(n, loss=0.0, broker_killed=False) for n in (1, 2, 4, 8, 9, 16, 32, 100)]
    assert asked == [1.06, 1.09, 1.09, 1.09, 1.11, 1.11, 1.20, 1.20]
    assert goal(8, loss=0.01, broker_killed=False) == 1.2
    assert goal(8, loss=0.0, broker_killed=True) == 1.12


def test_what_is_printed(tmp_path: Path) -> None:
    # Two lines that send 50 and 100 kB/s from 100 on; the second drops 2 packets a second,
    # and 1 that came for it.
    rows = [
        record(100 + at, [50e3 * at, 0, 0, 0, 0, 100e3 * at, 0, 2 * at, at, 0]) for at in (0, 20)
    ]
    (tmp_path / "trace").write_bytes(b"".join(rows))
    trace = Trace.read(tmp_path / "trace", ["a", "b"])
    outcome = SwarmOutcome(begin=102.0, ends={"x": 107.0, "y": 112.0, "z": 108.0}, size=400_000)
    said = figures(outcome, trace, fluid=8.0, cpu=0.6, rates={"a": UP, "b": UP})
    assert said == {
        "first": 5.0,
        "median": 6.0,
        "last": 10.0,
        "fluid": 8.0,
        "ratio": 1.25,
        "wire_over_payload": 1.25,
        "cpu_seconds": 0.6,
        "cpu_seconds_per_gb": 500.0,
        "bytes": 400_000,
        "uplink_use": {"a": 0.5, "b": 1.0},
        "uplink_drops": 20,
        "downlink_drops": 10,
        "idle_seconds": {
            "a": {"start": 2.0, "middle": 1.0, "end": 2.0},
            "b": {"start": 0.0, "middle": 0.0, "end": 0.0},
        },
    }
