"""Routers with NAT, tested inside the lab's own world (`inside_homes.py`)."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.lab import shell


@pytest.mark.nat
@pytest.mark.system
def test_each_kind_is_what_it_says_inside() -> None:
    tests = Path(__file__).with_name("inside_homes.py")
    command = [*shell.way_in(), sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, tests], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "15 passed" in done.stdout
