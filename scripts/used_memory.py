"""Memory of programs with all their processes, at most while one looks (Linux)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio
from attrs import define

from scripts.program import Program

LOOK_SECONDS: Final = 0.2


@define
class UsedMemory:
    """Bytes at most, of all looks."""

    largest: int = 0
    """Resident in one process, pages of files and shared ones included (Rss)."""
    together: int = 0
    """Of all processes at once: what is shared counts once (Pss), pages of files included."""
    anonymous: int = 0
    """Of all processes at once, without pages of files: what the system cannot take back."""

    def look(self, group: int) -> None:
        """Look at all processes of a process group."""
        rows = [_rollup(pid) for pid in _members(group)]
        self.largest = max([self.largest, *(one.get("Rss", 0) for one in rows)])
        self.together = max(self.together, sum(one.get("Pss", 0) for one in rows))
        self.anonymous = max(self.anonymous, sum(one.get("Anonymous", 0) for one in rows))


@asynccontextmanager
async def watched_memory(programs: Iterable[Program]) -> AsyncIterator[dict[str, UsedMemory]]:
    """What each of these programs uses at most during the block, as far as one sees who looks five
    times a second; by its name."""
    watched = {program.name: (program.pid, UsedMemory()) for program in programs}

    def look() -> None:
        for group, used in watched.values():
            used.look(group)

    async def watch() -> None:
        while True:
            await trio.to_thread.run_sync(look)
            await trio.sleep(LOOK_SECONDS)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        yield {name: used for name, (_, used) in watched.items()}
        nursery.cancel_scope.cancel()


def _members(group: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        if int(fields[2]) == group:
            found.append(int(path.parent.name))
    return found


def _rollup(pid: int) -> dict[str, int]:
    """Bytes by name (proc_pid_smaps(5)); nothing of a process that has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return {}
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
