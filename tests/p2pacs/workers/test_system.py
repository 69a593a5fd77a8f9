"""What the system does for a worker, seen on a process that hangs; test_child has the rest."""

import os
import sys

import pytest

from p2pacs.limits import MIB
from p2pacs.workers.system import NICE, start, widen

HANGS = """
import sys, time
from p2pacs.workers import system
{before}
system.tie(sys.argv[-1])
print("tied", flush=True)
while True:
    time.sleep(60)
"""


def _command(before: str = "") -> list[str]:
    return [sys.executable, "-c", HANGS.format(before=before)]


@pytest.mark.skipif(sys.platform == "win32", reason="nothing ties it there")
def test_it_ends_with_the_program_whatever_it_does() -> None:
    process, tether = start(_command(), os.environ)
    assert process.stdin is not None
    assert process.stdout is not None
    widen([process.stdin, process.stdout])
    assert process.stdout.readline() == b"tied\n"
    tether.close()
    assert process.wait(30) != 0
    process.stdin.close()
    process.stdout.close()


@pytest.mark.skipif(sys.platform != "linux", reason="proc(5)")
def test_it_comes_after_the_program_and_has_its_memory() -> None:
    grow = f"system.step_back(); system.bound_memory({64 * MIB})"
    try_it = "\ntry: bytearray(256 * 1024 * 1024)\nexcept MemoryError: print('bounded', flush=True)"
    process, tether = start(_command(grow + try_it), os.environ)
    assert process.stdout is not None
    assert process.stdout.readline() == b"bounded\n"
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == min(
        19, os.getpriority(os.PRIO_PROCESS, 0) + NICE
    )
    tether.close()
    process.wait(30)
    process.stdout.close()
    assert process.stdin is not None
    process.stdin.close()


def test_a_program_that_is_none_is_told() -> None:
    with pytest.raises(OSError, match="No such file"):
        start(["/nowhere/python"], os.environ)
