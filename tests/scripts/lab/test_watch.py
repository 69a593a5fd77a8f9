"""When a transfer ended, by the log of whoever fetched."""

import json
from typing import Any

import pytest

from scripts.lab.watch import ENDED, end_in, machine_seconds
from scripts.program import ScriptError


def line(**said: Any) -> str:
    stamp = {"timestamp": "2026-01-02T03:04:05.250000Z", "level": "info"}
    return json.dumps({"event": ENDED, "state": "complete", **stamp, **said}) + "\n"


def test_the_end_is_the_time_stamp_of_its_line() -> None:
    noise = "a text line\n" + line(event="linked") + '{"event": "transfer ended", "sta\n'
    assert end_in(noise) is None
    assert end_in(noise + line()) == 1767323045.25


def test_a_transfer_that_failed_is_an_error() -> None:
    with pytest.raises(ScriptError, match="disk full"):
        end_in(line(state="failed", error="disk full"))


def test_what_the_machine_did_grows() -> None:
    worked, had = machine_seconds()
    assert 0 < worked <= had
