"""The way into the lab's own world, and that nothing stays of it."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from scripts.lab import shell
from scripts.program import ScriptError

PATIENCE = 60.0


def test_whoever_may_not_is_told_what_would_help() -> None:
    with pytest.raises(ScriptError, match=r"run it as root.*not here"):
        shell.way_in([["sh", "-c", "echo not here >&2; exit 1"]])


def test_a_machine_without_unshare_is_told() -> None:
    with pytest.raises(ScriptError, match="util-linux"):
        shell.way_in([["no-such-program"]])


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
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, task.read_text().split())
    return [one for child in found for one in (child, *children(child))]


def is_router(pid: int) -> bool:
    try:
        return b"scripts.lab.router" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.lab
@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_lab(number: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.lab.proof", "--seconds", "60"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    deadline = time.monotonic() + PATIENCE
    started: list[int] = []
    while not any(map(is_router, started)) and time.monotonic() < deadline:
        time.sleep(0.05)  # real processes need real time
        started = children(process.pid)
    assert len(started) >= 3  # unshare, the lab and its router
    process.send_signal(number)
    code = process.wait(PATIENCE)
    assert code == (-number if number == signal.SIGKILL else 1)  # 1: it cleared up by itself
    while any(map(alive, started)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in started if alive(pid)]
    assert number == signal.SIGKILL or not list(tmp_path.iterdir())
