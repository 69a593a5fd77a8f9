"""What the machine gives: folder, disk, ports, descriptors, clock, worker processes."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import trio

from p2pacs.doctor.examination import PlannedCheck, failed, good, look_at
from p2pacs.errors import local_error
from p2pacs.files.private_files import check_folder
from p2pacs.process.health import Health, HealthCheck, disk_check
from p2pacs.units import Endpoint
from p2pacs.workers.coding import open_workers

DESCRIPTORS: Final = 4096
"""Open files that a busy program wants to have: links, associations, browsers, databases."""

SLOW_FLUSH: Final = 0.1
"""Seconds: a chunk is confirmed after a flush, and a batch of audit records too."""

FLUSHES: Final = 8

CONNECT: Final = 5.0
"""Seconds for a program on this machine to take a connection."""

_UNSYNCHRONISED: Final = 5
"""TIME_ERROR of adjtimex(2): nothing keeps the clock right."""


def machine_checks(
    folder: Path, store: Path, ports: Sequence[tuple[str, Endpoint | None]], *, running: bool
) -> list[PlannedCheck]:
    """What is looked at on every machine.

    Args:
        folder: of the program.
        store: where its chunks are.
        ports: what listens where, by the names of settings; None: it is not set.
        running: whether the program runs now.
    """
    at = folder if not store.exists() else store
    return [
        PlannedCheck("Folder", partial(_in_thread, _folder, folder)),
        PlannedCheck("Disk of the store", partial(_in_thread, _disk, at)),
        PlannedCheck("Speed of the disk", partial(_in_thread, flush_check, at)),
        PlannedCheck("Clock", partial(_in_thread, clock_kept)),
        PlannedCheck("Open files", partial(_in_thread, descriptor_check)),
        PlannedCheck("Image workers", _workers),
        *(
            PlannedCheck(f"Port of {name}", partial(port_check, name, where, running=running))
            for name, where in ports
            if where is not None
        ),
    ]


async def _in_thread(look: Callable[..., HealthCheck], *arguments: object) -> Sequence[HealthCheck]:
    # What hangs on a broken disk is left behind: the doctor goes on, and ends.
    return [await trio.to_thread.run_sync(partial(look, *arguments), abandon_on_cancel=True)]


def _folder(folder: Path) -> HealthCheck:
    check_folder(folder)
    if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        return look_at(
            "Folder",
            "It belongs to another account than the one that asks.",
            "Run the doctor as the account that the program runs as (p2pacs, most often).",
        )
    return good("Folder", "It is there and can be written in.")


def _disk(folder: Path) -> HealthCheck:
    usage = shutil.disk_usage(folder)
    return disk_check("Disk of the store", usage.free, usage.total)


def flush_check(folder: Path, clock: Callable[[], float] = time.monotonic) -> HealthCheck:
    """How long the disk takes to keep what was written (fsync)."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(FLUSHES):
            began = clock()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            took.append(clock() - began)
    middle = statistics.median(took)
    what = f"A flush takes {middle * 1000:.1f} ms."
    if middle < SLOW_FLUSH:
        return good("Speed of the disk", what)
    return look_at(
        "Speed of the disk",
        what,
        "Put the folder on a faster disk: every chunk and every audit record waits for it.",
    )


def clock_kept(state: Callable[[], int | None] | None = None) -> HealthCheck:
    """Whether something keeps this machine's clock right, by what the kernel says.

    Args:
        state: what adjtimex(2) answers; None where that cannot be asked.
    """
    said = (state or _kernel_clock)()
    if said is None:
        return good("Clock", "What keeps it right cannot be asked on this system.")
    if said == _UNSYNCHRONISED:
        return look_at(
            "Clock",
            "Nothing keeps it right, as far as the kernel knows.",
            "Let the machine follow a time server (systemd-timesyncd, chrony).",
        )
    return good("Clock", "It follows a time server.")


def _kernel_clock() -> int | None:
    if sys.platform != "linux":
        return None
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return None
    # struct timex takes 208 bytes on 64 bits; modes 0 changes nothing.
    said: int = adjtimex(ctypes.create_string_buffer(512))
    return said if said >= 0 else None


def descriptor_check(limit: Callable[[], int | None] | None = None) -> HealthCheck:
    """How many files a program that is started from here may open."""
    most = (limit or _descriptors)()
    if most is None:
        return good("Open files", "The system has no limit of its own.")
    what = f"A program started from here may open {most:,} files."
    if most >= DESCRIPTORS:
        return good("Open files", what)
    return look_at(
        "Open files", what, f"Allow {DESCRIPTORS:,}: LimitNOFILE in the unit, or ulimit -n."
    )


def _descriptors() -> int | None:
    """By ``/proc``; this module may not import ``resource``, which not every system has."""
    try:
        text = Path("/proc/self/limits").read_text(encoding="ascii")
    except OSError:
        return None
    line = next(one for one in text.splitlines() if one.startswith("Max open files"))
    most = line.split()[3]
    return int(most) if most.isdigit() else None


async def _workers() -> Sequence[HealthCheck]:
    async with open_workers(1) as workers:
        await workers.try_out()
    return [good("Image workers", "A worker process starts and finds its codecs.")]


# ---------------------------------------------------------------- ports


async def port_check(name: str, where: Endpoint, *, running: bool) -> Sequence[HealthCheck]:
    """Whether a program can listen there, or the one that runs does."""
    title = f"Port of {name}"
    if where.port == 0:
        return [good(title, "Any free one is taken.")]
    if running:
        return [await _answers(title, where)]
    return [await trio.to_thread.run_sync(_bindable, title, where, abandon_on_cancel=True)]


async def _answers(title: str, where: Endpoint) -> HealthCheck:
    host = where.host
    if where.is_unspecified:
        host = "::1" if ":" in where.host else "127.0.0.1"
    try:
        with trio.fail_after(CONNECT):
            stream = await trio.open_tcp_stream(host, where.port)
    except (OSError, trio.TooSlowError):
        return HealthCheck(
            title,
            Health.BAD,
            f"The program runs, but nothing answers at {where}.",
            "Was the setting changed since the program started? Restart it, and look into its log.",
        )
    await trio.aclose_forcefully(stream)
    return good(title, f"The running program answers at {where}.")


def _bindable(title: str, where: Endpoint) -> HealthCheck:
    try:
        found = socket.getaddrinfo(
            where.host, where.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, number, _, address = found[0]
        with socket.socket(family, kind, number) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(1)
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "Check the setting.")
        known = local_error(error, f"cannot listen on {where}")
        return failed(title, str(known), advice)
    return good(title, f"{where} is free.")


_ADVICE: Final = {
    errno.EADDRINUSE: "Another program holds it: stop that one, or name another port.",
    errno.EADDRNOTAVAIL: "That address is not one of this machine: name one that is, or 0.0.0.0.",
    errno.EACCES: "Ports below 1024 are for root: name a higher one.",
}
