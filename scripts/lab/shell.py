"""The lab's own world: this process again, in namespaces that end with it.

A process namespace, so that nothing outlives the lab however it ends; a network namespace, so
that its LAN is nobody else's; and, for whoever is not root, a user namespace that allows both.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from scripts.lab.space import TUN
from scripts.program import ScriptError

INSIDE: Final = "P2PACS_LAB"
"""Environment variable that the process inside finds set."""

_WORLD: Final = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
UNSHARE: Final = (["unshare", *_WORLD], ["unshare", "--user", "--map-root-user", *_WORLD])
"""Ways in, the plainest first: as root, and as anybody where user namespaces are allowed."""

WAIT_SECONDS: Final = 0.2
"""Between two looks whether somebody asked for an end, which is passed on until it comes."""

PROBE: Final = f"exec 3<>{TUN} && ip link set lo up"


def way_in(ways: Iterable[list[str]] = UNSHARE) -> list[str]:
    """The command that runs another inside.

    Args:
        ways: commands that may do so; the first that works is taken.

    Raises:
        ScriptError: this machine or account does not allow it; the message says what would.
    """
    why = "unshare is not installed (Debian: util-linux)"
    for command in ways:
        try:
            done = subprocess.run(
                [*command, "sh", "-c", PROBE], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            break
        if done.returncode == 0:
            return command
        why = done.stderr.strip() or f"exit code {done.returncode}"
    raise ScriptError(
        f"the lab needs network namespaces and TUN devices: run it as root, or allow user "
        f"namespaces and make {TUN} readable and writable. Here: {why}"
    )


def is_inside() -> bool:
    """Whether this process runs in a world of its own."""
    return os.environ.get(INSIDE) == "1" and os.getpid() == 1


def enter(module: str, arguments: Sequence[str]) -> int | None:
    """Runs ``python -m MODULE ARGUMENTS`` inside; its exit code, or None: this is inside.

    Signals that ask for an end go to the process inside, which clears up. If this process is
    killed, the one inside ends at once, and with it everything in its world.

    Raises:
        ScriptError: this machine or account does not allow it.
    """
    if is_inside():
        threading.Thread(target=_end_with_outside, daemon=True).start()
        return None
    command = [*way_in(), sys.executable, "-m", module, *arguments]
    world = os.environ | {INSIDE: "1"}
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: asked.append(number))
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, env=world, start_new_session=True
    ) as process:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(WAIT_SECONDS)
            if asked:
                _ask_to_end(process.pid)


def _ask_to_end(outermost: int) -> None:
    """Signals the process inside: the first of a world does not hear it before it listens."""
    for pid in _children(outermost):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def _children(pid: int) -> list[int]:
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except FileNotFoundError:
        return []
    return [int(one) for one in listed.split()]


def _end_with_outside() -> None:
    """Standard input is a pipe whose other end the process outside holds."""
    while os.read(0, 1):
        pass
    os._exit(1)
