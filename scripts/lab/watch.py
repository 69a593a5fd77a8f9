"""Watching members without disturbing them: their logs, their processor time, the lines."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import trio

from scripts.lab.lab import Lab
from scripts.lab.ping import Pings
from scripts.program import Program, ScriptError

ENDED: Final = "transfer ended"
"""The event of a log line (JSON) that says when a member had all."""

POLL_SECONDS: Final = 0.1
IDLE_SECONDS: Final = 3.0
QUIET_SECONDS: Final = 2.0
QUIET_BYTES: Final = 1_000
"""Bytes a second of each line, at most, while nothing goes on."""
SETTLE_SECONDS: Final = 60.0


def end_in(text: str) -> float | None:
    """The Unix time at which a transfer was complete, by these log lines; None: not yet.

    Raises:
        ScriptError: it failed.
    """
    for line in text.splitlines():
        said = json.loads(line) if ENDED in line and line.endswith("}") else {}
        if said.get("event") == ENDED:
            if said["state"] != "complete":
                raise ScriptError(f"a transfer failed: {said.get('error')}")
            return datetime.fromisoformat(said["timestamp"]).timestamp()
    return None


async def ended(program: Program, offset: int) -> float:
    """Waits for the end of a member's transfer; its Unix time.

    Args:
        program: the member.
        offset: bytes of its log that are older than the transfer.

    Raises:
        ScriptError: the transfer failed, or the program ended.
    """
    while True:
        if program.log.stat().st_size > offset:
            with program.log.open("rb") as log:
                log.seek(offset)
                text = log.read().rpartition(b"\n")[0]
            if (end := end_in(text.decode())) is not None:
                return end
        if program.returncode is not None:
            raise program.failure("ended before its transfer")
        await trio.sleep(POLL_SECONDS)


async def all_ended(programs: Iterable[Program], offsets: Iterable[int]) -> dict[str, float]:
    """Waits for the ends of all their transfers: name → Unix time."""
    ends: dict[str, float] = {}

    async def wait(program: Program, offset: int) -> None:
        ends[program.name] = await ended(program, offset)

    async with trio.open_nursery() as nursery:
        for program, offset in zip(programs, offsets, strict=True):
            nursery.start_soon(wait, program, offset)
    return ends


class RunWatch:
    """What is measured beside a run: processor time, and pings if they are asked for."""

    def __init__(self, lab: Lab, pinging: Sequence[str], target: str) -> None:
        """Nothing is measured before `during`.

        Args:
            lab: where the run will be.
            pinging: places from which the target is pinged.
            target: a place that takes no part.
        """
        self._lab = lab
        self._target = target
        self._idle = {name: Pings() for name in pinging}
        self._busy = {name: Pings() for name in pinging}
        self._programs: list[Program] = []
        self._before: dict[str, float] = {}
        self._seen: dict[str, float] = {}
        self._router = self._machine = 0.0

    @asynccontextmanager
    async def during(self, programs: Sequence[Program]) -> AsyncIterator[None]:
        """Measures while the block runs; pings a little before it, too, for comparison."""
        if self._idle:
            with trio.move_on_after(IDLE_SECONDS):
                await self._ping(self._idle)
        self._programs = [*programs, self._lab.router]
        self._before = {program.name: program.cpu_seconds() for program in self._programs}
        worked, had = machine_seconds()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._ping, self._busy)
            yield
            nursery.cancel_scope.cancel()
        now_worked, now_had = machine_seconds()
        self._machine = (now_worked - worked) / max(1.0, now_had - had)

    async def _ping(self, pings: Mapping[str, Pings]) -> None:
        address = self._lab.place(self._target).address
        async with trio.open_nursery() as nursery:
            for name, one in pings.items():
                nursery.start_soon(one.run, self._lab.place(name), address)

    def look(self) -> None:
        """Notes the processor time until now: before a program is killed, and at the end."""
        for program in self._programs:
            seen = self._seen.get(program.name, 0.0)
            self._seen[program.name] = max(seen, program.cpu_seconds())

    def _spent(self, name: str) -> float:
        return self._seen[name] - self._before[name]

    def spent(self) -> float:
        """Seconds of processor of the members until the last `look`."""
        router = self._lab.router.name
        return sum(self._spent(name) for name in self._seen if name != router)

    def figures(self) -> dict[str, Any]:
        """How busy the machine and the router were; pings in milliseconds."""
        said: dict[str, Any] = {
            "machine_load": round(self._machine, 3),
            "router_cpu_seconds": round(self._spent(self._lab.router.name), 2),
        }
        if self._busy:
            said["ping_ms"] = {
                name: {"idle": self._idle[name].figures(), "busy": pings.figures()}
                for name, pings in self._busy.items()
            }
        return said


async def quiet(lab: Lab) -> None:
    """Waits until nothing but keeping in touch goes over the lines.

    Raises:
        ScriptError: it never got quiet.
    """
    with trio.move_on_after(SETTLE_SECONDS):
        while True:
            await trio.sleep(QUIET_SECONDS)
            trace = lab.trace()
            now = trace.times[-1]
            moved = sum(trace.between("up", now - QUIET_SECONDS, now).values())
            if moved / QUIET_SECONDS < QUIET_BYTES * len(trace.names):
                return
    raise ScriptError(f"the lines were not quiet within {SETTLE_SECONDS:.0f} s")


def machine_seconds() -> tuple[float, float]:
    """Jiffies that all processors worked, and had, since the machine started."""
    with Path("/proc/stat").open(encoding="ascii") as lines:
        values = [int(value) for value in lines.readline().split()[1:9]]
    return float(sum(values) - values[3] - values[4]), float(sum(values))
