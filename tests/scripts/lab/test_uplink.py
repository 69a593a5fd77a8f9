"""Figures of an uplink that nobody described."""

import pytest

from scripts.lab.ping import Pings
from scripts.lab.uplink import Parts, Received, figures

RATE = 800_000.0


def received(begin: float, *parts: tuple[float, float]) -> Received:
    """So many seconds at so many bits a second, one after the other."""
    made, now = Received(), begin
    for seconds, rate in parts:
        for _ in range(round(seconds * 10)):
            now += 0.1
            made.times.append(now)
            made.totals.append(made.totals[-1] + round(rate / 80))
    return made


def test_how_long_a_rate_takes() -> None:
    made = received(100.0, (2.0, 200_000), (5.0, RATE))
    assert made.between(100.0, 102.0) == 50_000
    assert made.reaches(0.95 * RATE, 100.0, 107.0) == pytest.approx(2.0, abs=0.15)
    assert made.reaches(2 * RATE, 100.0, 107.0) is None


def test_the_figures_of_a_run() -> None:
    parts = Parts(100.0, 110.0, 120.0, 130.0, 140.0, 150.0)
    ours = received(
        100.0,
        (1.0, 200_000), (9.0, RATE), (10.0, RATE / 2), (2.0, RATE / 2), (8.0, RATE),
        (10.0, RATE / 4), (1.0, RATE / 4), (9.0, RATE),
    )  # fmt: skip
    others = received(130.0, (10.0, 3 * RATE / 4))
    pings = Pings()
    pings.at = [100.0 + second / 4 for second in range(200)]
    pings.trips = [0.3 if 110 <= at < 111 else 0.08 for at in pings.at]
    said = figures(ours, others, pings, parts, RATE)
    assert said["start_seconds"] == pytest.approx(1.0, abs=0.15)
    assert said["steady_use"] == pytest.approx(1.0, abs=0.02)
    assert said["steady_ping_ms"] == 80.0
    assert said["lower_seconds"] == pytest.approx(0.0, abs=0.1)
    assert said["lower_long_ping_seconds"] == pytest.approx(1.0)
    assert said["higher_seconds"] == pytest.approx(2.0, abs=0.15)
    assert said["beside_share"] == pytest.approx(0.25, abs=0.01)
    assert said["after_seconds"] == pytest.approx(1.0, abs=0.15)
