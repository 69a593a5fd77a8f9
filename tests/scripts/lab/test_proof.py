"""The lab itself: plain TCP at the right rate, and pings that feel the queue."""

import json
import subprocess
import sys

import pytest


@pytest.mark.lab
@pytest.mark.system
def test_plain_tcp_gets_what_the_headers_leave_of_a_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.lab.proof", "--members", "2", "--seconds", "5"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["expected"] == round(800_000 * 1440 / 1492)
    assert said["ratio"] == pytest.approx(1.0, abs=0.02)  # 0.5 % over longer runs
    assert all(use == pytest.approx(1.0, abs=0.01) for use in said["uplink_use"])
    assert 42.0 < said["ping_idle"]["median"] < 50.0
    assert 180.0 < said["ping_full"]["median"] < 375.0  # a queue of 32 kB: 320 ms
