from typing import Any

import pytest

from peer.commands.output.wording import format_rate, format_seconds, when
from tests.peer.fake_peer import transfer_of


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"expected_seconds": 4.04}, "4.0 s left"),
        ({"expected_seconds": None, "growing": True}, "being published"),
        ({"expected_seconds": None, "growing": True, "bytes_total": 0}, "waiting for the broker"),
        ({"expected_seconds": None, "rate": 5}, "measuring"),
        ({"expected_seconds": None, "rate": 0}, "waiting"),
        ({"state": "failed"}, "failed"),
        ({"state": "complete"}, "in 2.5 s"),
        ({"state": "complete", "bytes_received": 0}, "was here"),
    ],
)
def test_when_it_ends(said: dict[str, Any], shown: str) -> None:
    assert when(transfer_of(1, 2, **said)) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1:00 min"),
     (3599.4, "59:59 min"), (3599.6, "1:00 h"), (90_000, "25:00 h")],
)  # fmt: skip
def test_times(seconds: float, shown: str) -> None:
    assert format_seconds(seconds) == shown


@pytest.mark.parametrize(
    ("rate", "shown"),
    [(0, ""), (1, "8bit/s"), (12_345, "98.8kbit/s"), (375_123, "3mbit/s"), (154_321, "1.23mbit/s")],
)
def test_rates(rate: float, shown: str) -> None:
    assert format_rate(rate) == shown
