"""Telling systemd how the program is (sd_notify(3)): ready, stopping, alive.

A service of ``Type=notify`` counts as started once it has said ``READY=1``; one with
``WatchdogSec=`` is started anew where it says nothing for so long, as when its event loop hangs.
Without systemd nothing is said.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import trio

_SOCKET: Final = "NOTIFY_SOCKET"
_USEC: Final = "WATCHDOG_USEC"
_PID: Final = "WATCHDOG_PID"

READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
ALIVE: Final = "WATCHDOG=1"


def notify(state: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Say one thing; whether somebody listens.

    A manager that does not read is not waited for, and one that is gone is nobody's loss.

    Args:
        state: one of the assignments above.
        environment: names the socket: a path, or ``@`` and a name of the abstract namespace.
    """
    where = environment.get(_SOCKET, "")
    if not where.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
        return False
    address = "\0" + where[1:] if where.startswith("@") else where
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaking:
        speaking.setblocking(False)
        speaking.sendto(state.encode(), address)
        return True
    return False


def watchdog_seconds(environment: Mapping[str, str] = os.environ, pid: int | None = None) -> float:
    """After how long without a word the program counts as dead; 0: nobody watches.

    Args:
        environment: of this process.
        pid: its id; None for its own. Children inherit the variables, which are not theirs.
    """
    said, whose = environment.get(_USEC, ""), environment.get(_PID, "")
    mine = not whose or whose == str(os.getpid() if pid is None else pid)
    return int(said) / 1e6 if mine and said.isascii() and said.isdigit() else 0.0


async def keep_alive(environment: Mapping[str, str] = os.environ) -> None:
    """Say for ever, twice in the time that is given, that the event loop turns."""
    seconds = watchdog_seconds(environment)
    while seconds:
        notify(ALIVE, environment)
        await trio.sleep(seconds / 2)
