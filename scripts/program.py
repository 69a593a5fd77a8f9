"""Programs that a script starts: each with a log, in a process group that always ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trio

START_SECONDS = 60.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.1
TAIL_LINES = 20
LOOK_SECONDS = 0.5
QUIET_LOOKS = 4
QUIET_SHARE = 0.15
"""Of a processor: what a program takes that has nothing to do is less."""

Command = list[str | Path]
P2PACS: Command = [sys.executable, "-m", "p2pacs"]


class ScriptError(Exception):
    """What a script set out to do did not work; the message says why and shows the log."""


def leaves(group: BaseExceptionGroup[Exception]) -> Iterator[Exception]:
    """The errors in a group, without the groups inside it."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


class Program:
    """A running program. Start it with `running`, so that nothing of it is left behind."""

    def __init__(self, name: str, process: trio.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id, which is its process group's, too."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def forget_peak(self) -> None:
        """What counts for `peak_memory` begins now."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5", encoding="ascii")

    def peak_memory(self) -> int:
        """Bytes of memory that the process had resident at most (Linux: VmHWM)."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise ScriptError(f"{self.name}: this system does not tell the peak memory of a process")

    def cpu_seconds(self) -> float:
        """Seconds of processor that its process took (Linux); 0.0 once it has ended."""
        return cpu_seconds(self.pid)

    def group_cpu_seconds(self) -> float:
        """The same of all processes of its group that run now: its workers, too."""
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                continue
            if int(fields[2]) == self.pid:
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    async def idle(self, seconds: float) -> None:
        """Waits until it has nothing to do, or for so many seconds."""
        with trio.move_on_after(seconds):
            before, quiet = self.group_cpu_seconds(), 0
            while quiet < QUIET_LOOKS:
                await trio.sleep(LOOK_SECONDS)
                now = self.group_cpu_seconds()
                quiet = quiet + 1 if now - before < QUIET_SHARE * LOOK_SECONDS else 0
                before = now

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        self._signal(signal.SIGKILL)

    def failure(self, what: str) -> ScriptError:
        """An error that shows the end of this program's log."""
        return ScriptError(f"{self.name} {what}. The end of its log:\n{tail(self.log)}")

    async def ready(
        self,
        probe: Callable[[], Awaitable[bool]],
        seconds: float = START_SECONDS,
        poll: float = POLL_SECONDS,
    ) -> None:
        """Waits until ``probe`` says yes.

        Raises:
            ScriptError: the program ended first, or it took too long.
        """
        with trio.move_on_after(seconds):
            while not await probe():
                if self._process.poll() is not None:
                    raise self.failure(f"ended with exit code {self.returncode}")
                await trio.sleep(poll)
            return
        raise self.failure(f"was not ready within {seconds:.0f} s")

    async def stop(self) -> None:
        """Ends the program and everything it started: asked first, then killed."""
        with trio.CancelScope(shield=True):
            if self._process.returncode is None:
                self._signal(signal.SIGTERM)
                with trio.move_on_after(STOP_SECONDS):
                    await self._process.wait()
            self._signal(signal.SIGKILL)
            await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # the whole group has ended
            os.killpg(self.pid, number)


def cpu_seconds(pid: int) -> float:
    """Seconds of processor that a process took (Linux); 0.0 once it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def running(
    name: str,
    command: Command,
    log: Path,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> AsyncIterator[Program]:
    """Runs a program for as long as the block takes; its output goes to ``log``."""
    with log.open("ab") as output:
        process = await trio.lowlevel.open_process(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | dict(environment or {}),
            start_new_session=True,
            pass_fds=pass_fds,
        )
    program = Program(name, process, log)
    try:
        yield program
    finally:
        await program.stop()


async def output_of(
    name: str, command: Command, log: Path, seconds: float = START_SECONDS, given: str = ""
) -> str:
    """Runs a program to its end and returns what it printed.

    Args:
        name: of the program, for errors.
        command: with its arguments.
        log: where its errors go.
        seconds: that it has at most.
        given: what it reads from standard input.

    Raises:
        ScriptError: its exit code is not 0, or it took too long.
    """
    text = [str(part) for part in command]
    with trio.move_on_after(seconds), log.open("ab") as errors:
        done = await trio.run_process(
            text, stdin=given.encode(), capture_stdout=True, stderr=errors, check=False
        )
        if done.returncode == 0:
            return bytes(done.stdout).decode()
        raise ScriptError(f"{name} ended with exit code {done.returncode}:\n{tail(log)}")
    raise ScriptError(f"{name} took longer than {seconds:.0f} s:\n{tail(log)}")


def tail(log: Path) -> str:
    """The last lines of a log, indented."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    except FileNotFoundError:
        lines = []
    return "\n".join(f"    {line}" for line in lines or ["(nothing)"])


def free_port(host: str) -> int:
    """A TCP port that nobody listens on at this address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, 0))
        except OSError as error:
            raise ScriptError(
                f"cannot listen on {host}: {error.strerror}. All of 127.0.0.0/8 must be this "
                "machine's, as it is on Linux."
            ) from error
        port: int = probe.getsockname()[1]
        return port


def listens(host: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(POLL_SECONDS)
        return probe.connect_ex((host, port)) == 0
