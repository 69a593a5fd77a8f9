"""The way into the lab's own world, and that nothing stays of it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.lab import shell
from scripts.program import ScriptError

PATIENCE = 20.0


def test_whoever_may_not_is_told_what_would_help(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shell, "UNSHARE", (["sh", "-c", "echo not here >&2; exit 1"],))
    with pytest.raises(ScriptError, match=r"run it as root.*not here"):
        shell.way_in()


def test_a_machine_without_unshare_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "UNSHARE", (["no-such-program"],))
    with pytest.raises(ScriptError, match="util-linux"):
        shell.way_in()


def test_a_process_like_any_other_is_not_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(shell.INSIDE, "1")
    assert not shell.is_inside()


def alive(pid: int) -> bool:
    """Whether a process of this id runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def children(pid: int) -> list[int]:
    """All that a process started, and what those started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [one for child in map(int, found) for one in (child, *children(child))]


@pytest.mark.lab
@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_lab(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.lab.proof", "--seconds", "60"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + PATIENCE
    while len(started := children(process.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)  # real processes need real time
    assert len(started) >= 2  # the lab and its router
    if number == signal.SIGINT:  # as a terminal sends it
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    process.wait(PATIENCE)
    while any(map(alive, started)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in started if alive(pid)]
