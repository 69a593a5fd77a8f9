"""libtorrent in the same lab: as many seeds as we have replicas, and the same clients."""

from __future__ import annotations

import importlib
import importlib.util
import random
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import trio

from scripts.lab.figures import SwarmOutcome
from scripts.lab.lab import Lab
from scripts.lab.plan import Plan
from scripts.lab.watch import RunWatch, all_ended, quiet
from scripts.program import Command, Program, ScriptError, running

PIECE_BYTES: Final = 16 * 1024
"""One request a piece: 8 clients (8 MB) take 1.18 times the limit, 1.20 with 32 KiB, 1.22 with 64.
More upload slots or other choking algorithms changed nothing (1.18, 1.19)."""

PORT: Final = 6881
HEAD_START: Final = 0.5
"""Seconds from writing the file with the common start until the start."""


async def run_opponent(lab: Lab, folder: Path, plan: Plan, watch: RunWatch) -> SwarmOutcome:
    """Has all clients fetch as many bytes as ours did, at once.

    Raises:
        ScriptError: libtorrent is not installed, or it failed.
    """
    if importlib.util.find_spec("libtorrent") is None:
        raise ScriptError("libtorrent is not installed: pip install 'p2pacs[bench]'")
    torrent = await trio.to_thread.run_sync(make_torrent, folder, plan.size)
    start = folder / "start"
    async with AsyncExitStack() as stack:
        programs: list[Program] = []
        known: list[str] = []
        for name in (*plan.replicas, *plan.clients):
            place = lab.place(name)
            listen = f"{place.inside or place.address}:{PORT}"
            command: Command = [*place.prefix, sys.executable, "-m", "scripts.lab.torrent", torrent]
            if name in plan.replicas:
                command += [folder, "--listen", listen, "--seed"]
            else:
                (folder / name).mkdir()
                command += [folder / name, "--listen", listen, "--start", start]
                command += ["--connect", *known]
            known.append(f"{place.address}:{PORT}")
            log = folder / f"{name}.log"
            programs.append(await stack.enter_async_context(running(name, command, log)))
        for program in programs:
            await program.ready(_is_ready(program))
        await quiet(lab)
        await stack.enter_async_context(watch.during(programs))
        begin = time.time() + HEAD_START
        publish(start, begin)
        with trio.move_on_after(plan.longest):
            clients = programs[len(plan.replicas) :]
            ends = await all_ended(clients, [0] * len(clients))
            watch.look()
            return SwarmOutcome(begin, ends, plan.size)
    raise ScriptError(f"libtorrent took longer than {plan.longest:.0f} s")


def _is_ready(program: Program) -> Callable[[], Awaitable[bool]]:
    async def is_ready() -> bool:
        return '"ready"' in program.log.read_text(encoding="utf-8")

    return is_ready


def publish(file: Path, begin: float) -> None:
    """Writes the common start: whole or not at all."""
    beside = file.with_suffix(".new")
    beside.write_text(str(begin), encoding="ascii")
    beside.rename(file)


def make_torrent(folder: Path, size: int) -> Path:
    """A file of noise, and its torrent."""
    libtorrent: Any = importlib.import_module("libtorrent")
    file, torrent = folder / "study", folder / "study.torrent"
    file.write_bytes(random.Random(size).randbytes(size))  # noqa: S311 - the same every time
    entries = [libtorrent.create_file_entry(file.name, size)]
    made = libtorrent.create_torrent(entries, PIECE_BYTES, libtorrent.create_torrent.v1_only)
    libtorrent.set_piece_hashes(made, str(folder))
    torrent.write_bytes(libtorrent.bencode(made.generate()))
    return torrent
