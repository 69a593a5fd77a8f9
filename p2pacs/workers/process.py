"""One worker process as the program sees it. Blocking: for threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Final

from p2pacs.errors import WorkerError
from p2pacs.workers.messages import CallBatch, CallOutcome, receive_outcomes, send
from p2pacs.workers.system import start, widen

WORKER: Final = ("-P", "-m", "p2pacs.workers.child")
"""-P: nothing is imported from the folder that the program happens to be in. One argument more
says how it learns that the program has ended (`p2pacs.workers.system`)."""

_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""There is a worker for every core; each thread of a library would take address space."""


_LAST_SECONDS: Final = 1.0
"""Until a process that closed its pipe has ended, and says how."""


class WorkerProcess:
    """A worker that runs. `end` must be called."""

    def __init__(self, command: Sequence[str] = WORKER) -> None:
        """Start it; it imports what it needs with its first batch.

        Args:
            command: what Python is told to run.

        Raises:
            WorkerError: the system has no room for a process.
        """
        modules = os.pathsep.join(path for path in sys.path if path)
        environment = {**os.environ, **_ONE_THREAD, "PYTHONPATH": modules}
        try:
            self._process, self._tether = start([sys.executable, *command], environment)
        except OSError as error:
            raise WorkerError(f"no worker process can be started: {error.strerror}") from error
        self._sent = 0
        widen(self._pipes)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def signalled(self) -> bool:
        """Whether it was ended by a signal: by the system, by a codec, or by `kill`."""
        return (self._process.poll() or 0) < 0

    def work(self, batch: CallBatch) -> list[CallOutcome]:
        """Have a batch done.

        Returns:
            An outcome for each task, in order.

        Raises:
            WorkerError: it died, or does not say what it should; it must be ended.
        """
        to, source = self._pipes
        self._sent += 1
        try:
            send(to, self._sent, batch)
            outcomes = receive_outcomes(source, self._sent, batch.memory)
        except (OSError, EOFError):
            raise WorkerError(f"a worker process ended ({self._ending()})") from None
        except ValueError as error:
            raise WorkerError(f"{error}: it was ended") from error
        if len(outcomes) != len(batch.tasks):
            raise WorkerError("a worker did not do what it was told: it was ended")
        return outcomes

    def kill(self) -> None:
        """End it in the middle of whatever it does; for any thread."""
        self._process.kill()

    def end(self) -> None:
        """End it, and wait until it has."""
        self._process.kill()
        self._tether.close()
        for pipe in self._pipes:
            with suppress(OSError):  # what was not written yet has nobody to go to
                pipe.close()
        self._process.wait()

    @property
    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        to, source = self._process.stdin, self._process.stdout
        if to is None or source is None:
            raise RuntimeError("a process without pipes")
        return to, source

    def _ending(self) -> str:
        try:
            code = self._process.wait(_LAST_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
