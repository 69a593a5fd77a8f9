"""Programs always end, with everything that they started, and failures show their log."""

import os
import sys
from pathlib import Path

import pytest
import trio

from scripts.program import ScriptError, free_port, output_of, running, tail

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


async def _line(log: Path) -> str:
    with trio.fail_after(30):
        while not log.exists() or not log.read_text().endswith("\n"):
            await trio.sleep(0.01)
    return log.read_text().strip()


def _runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


async def test_the_whole_process_group_ends_even_when_cancelled(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with trio.CancelScope() as scope:
        async with running("parent", [sys.executable, "-c", PARENT], log) as program:
            child = int(await _line(log))
            assert _runs(child)
            assert program.peak_memory() > 1_000_000
            scope.cancel()
            await trio.sleep_forever()
    with trio.fail_after(60):
        while _runs(child):
            await trio.sleep(0.01)
    assert program.returncode is not None


async def test_a_program_that_ends_too_early_is_reported_with_its_log(tmp_path: Path) -> None:
    command: list[str | Path] = [sys.executable, "-c", "raise SystemExit('no such disk')"]

    async def never() -> bool:
        return False

    async with running("broker", command, tmp_path / "log") as program:
        with pytest.raises(ScriptError, match=r"(?s)broker ended with exit code 1.*no such disk"):
            await program.ready(never)


async def test_output_is_returned_and_failure_is_an_error(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert await output_of("echo", ["echo", "hello"], log) == "hello\n"
    with pytest.raises(ScriptError, match=r"exit code 3"):
        await output_of("sh", ["sh", "-c", "echo bad >&2; exit 3"], log)
    assert tail(log) == "    bad"


def test_a_free_port_can_be_listened_on() -> None:
    assert 0 < free_port("127.2.0.1") < 65536
    assert tail(Path(os.devnull)) == "    (nothing)"


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(ScriptError, match=r"cannot listen on 192\.0\.2\.1"):
        free_port("192.0.2.1")


async def test_processor_time_is_told_until_it_is_killed(tmp_path: Path) -> None:
    async with running("busy", [sys.executable, "-c", "while True: pass"], tmp_path / "log") as one:

        async def worked() -> bool:
            return one.cpu_seconds() >= 0.05

        await one.ready(worked)
        one.kill()
        with pytest.raises(ScriptError, match="ended with exit code -9"):
            await one.ready(never)
        assert one.cpu_seconds() == 0.0


async def never() -> bool:
    return False
