"""What an operating system does for worker processes: all of it on Linux, less elsewhere.

| | Linux | macOS | Windows |
|---|---|---|---|
| a worker ends when the program is killed | at once | at once | when its batch is done |
| a bound on its memory | yes | no | no |
| it comes after the program (nice) | yes | yes | its priority class is below normal |
| no core file, which would hold patient data | yes | yes | there are none |

Where there is no bound, the deadline of a batch and the size of an image bound a worker alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, Protocol

from p2pacs.limits import MIB

NICE: Final = 5
"""How far behind the program itself: its event loop answers other members meanwhile."""

_PIPE_BYTES: Final = 1 * MIB
"""What Linux lets anybody have in a pipe: an image fits, so nobody waits for the other."""

_STATM: Final = Path("/proc/self/statm")
"""proc(5): the first number is the address space in pages."""


class Tether(Protocol):
    """What a program holds of its worker: it must not be closed before that may end."""

    def close(self) -> None:
        """The worker ends."""


if sys.platform == "win32":

    class _NoTether:
        def close(self) -> None:
            pass

    def start(
        command: Sequence[str], environment: Mapping[str, str]
    ) -> tuple[subprocess.Popen[bytes], Tether]:
        """Start a worker, with a pipe on each side.

        Raises:
            OSError: there is no room for a process.
        """
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*command, "none"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            creationflags=subprocess.BELOW_NORMAL_PRIORITY_CLASS,
        )
        return process, _NoTether()

    def tie(_tether: str) -> None:
        """Nothing ties it: it ends with the pipe of its tasks, when it has done them."""

    def step_back() -> None:
        """It was started so."""

    def bound_memory(_more: int) -> None:
        """There is no such bound here."""

else:
    import fcntl
    import resource
    import select

    def start(
        command: Sequence[str], environment: Mapping[str, str]
    ) -> tuple[subprocess.Popen[bytes], Tether]:
        """Start a worker, with a pipe on each side.

        Its last argument is the number of the reading end of a pipe that nothing is ever written
        to, and whose other end the program holds.

        Raises:
            OSError: there is no room for a process.
        """
        reading, held = os.pipe()
        tether = os.fdopen(held, "wb", buffering=0)
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [*command, str(reading)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[reading],
                env=environment,
            )
        except OSError:
            tether.close()
            raise
        finally:
            os.close(reading)
        return process, tether

    def tie(tether: str) -> None:
        """Have the kernel end this process when the other end of a pipe closes (fcntl(2), O_ASYNC).

        It ends a process that hangs in a codec, where no thread of Python would run. It has to be
        a pipe of its own: the kernel signals the pipe of the tasks at the end of a write, when
        all that was written may have been read, and the work on it have begun (pipe_write in
        fs/pipe.c).
        """
        pipe = int(tether)
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
        poll = select.poll()
        poll.register(pipe, select.POLLHUP)
        if poll.poll(0):  # it closed before
            os._exit(0)

    def step_back() -> None:
        """Come after the program, and leave no core file when it crashes."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.nice(NICE)

    def bound_memory(more: int) -> None:
        """Let the address space grow by so many bytes."""
        try:
            pages = int(_STATM.read_bytes().split()[0])
        except OSError:  # no such file outside Linux
            return
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (most if hard < 0 else min(most, hard), hard))


def widen(pipes: Iterable[IO[bytes]]) -> None:
    """Let an image fit into each pipe, where that can be asked for."""
    if sys.platform == "linux":
        with suppress(OSError):  # a user with many pipes has small ones
            for pipe in pipes:
                fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
