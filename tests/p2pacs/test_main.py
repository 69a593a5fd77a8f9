"""Ctrl-C before, while and after the code of the commands is read."""

import signal
import subprocess
import sys

import pytest

from p2pacs.front import INTERRUPTED

PROGRAM = """
import os, runpy, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {at!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
{before}
sys.argv = ["p2pacs", *{arguments!r}]
runpy.run_module("p2pacs", run_name="__main__", alter_sys=False)
"""


def ended(at: str, before: str = "", *arguments: str) -> tuple[int, str]:
    """How a command ended, and what it said of errors.

    Args:
        at: Ctrl-C is pressed when this module is about to be imported.
        before: done at the beginning.
        arguments: of the command; none: its help, for which little is read.
    """
    code = PROGRAM.format(at=at, before=before, arguments=arguments or ("--help",))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("at", ["p2pacs.front", "typer", "p2pacs.files.private_files"])
def test_while_the_front_door_is_read_the_system_ends_it(at: str) -> None:
    assert ended(at) == (-signal.SIGINT, "")


def test_while_a_command_is_read_it_ends_as_shells_have_it() -> None:
    assert ended("broker.commands.cli", "", "broker", "--help") == (INTERRUPTED, "")


def test_without_it_nothing_changes() -> None:
    assert ended("no such module") == (0, "")


def test_whoever_ignores_it_goes_on() -> None:
    """As ``nohup`` and shells start what is in the background."""
    ignoring = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
    assert ended("typer", ignoring) == (0, "")


def test_after_the_end_there_is_no_traceback_either() -> None:
    late = "import atexit; atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))"
    code, said = ended("no such module", late)
    assert code == -signal.SIGINT
    assert said == ""
