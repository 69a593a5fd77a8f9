"""The lab's places, tested inside the lab's own world (`inside.py`)."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.lab import shell


@pytest.mark.lab
@pytest.mark.system
def test_places_are_what_they_should_be_inside() -> None:
    tests = Path(__file__).with_name("inside.py")
    command = [*shell.way_in(), sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, tests], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout
