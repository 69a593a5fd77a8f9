"""The lab's own world: this process again, in namespaces that end with it.

A process namespace, so that nothing outlives the lab however it ends; a network namespace, so
that its LAN is nobody else's; and, for whoever is not root, a user namespace that allows both.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from scripts.lab.space import TUN
from scripts.program import ScriptError

INSIDE: Final = "P2PACS_LAB"
"""Environment variable that the process inside finds set."""

_WORLD: Final = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
UNSHARE: Final = (["unshare", *_WORLD], ["unshare", "--user", "--map-root-user", *_WORLD])
"""Ways in, the plainest first: as root, and as anybody where user namespaces are allowed."""

PROBE: Final = f"exec 3<>{TUN} && ip link set lo up"


def way_in() -> list[str]:
    """The command that runs another inside.

    Raises:
        ScriptError: this machine or account does not allow it; the message says what would.
    """
    why = "unshare is not installed (Debian: util-linux)"
    for command in UNSHARE:
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


def enter(module: str, arguments: Sequence[str]) -> None:
    """Becomes ``python -m MODULE ARGUMENTS`` inside; returns only if this process is there.

    Raises:
        ScriptError: this machine or account does not allow it.
    """
    if is_inside():
        return
    command = [*way_in(), sys.executable, "-m", module, *arguments]
    os.execvpe(command[0], command, os.environ | {INSIDE: "1"})  # noqa: S606 - no shell is meant
