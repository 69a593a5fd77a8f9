"""The swarm in virtual time: hundreds of members of the real engine in one or two processes.

Everything above TLS is the program itself: mesh, sessions, picker, pacing. Streams run in
memory over simulated lines (tests/simulation), so that figures depend on nothing but the seed.
By default a line carries no headers of TLS, TCP and IP, and no acknowledgements: what is
missing to the limit is then the work of scheduling and of control messages alone. With
``--headers`` it carries them, as in the lab.
"""

from __future__ import annotations

import argparse
import gc
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import trio

from p2pacs.errors import UsageError
from p2pacs.limits import KIB
from p2pacs.line.pacing import NO_OVERHEAD, TLS_OVER_TCP
from p2pacs.process import logs
from p2pacs.study.runs import BEGINNING_BYTES
from p2pacs.swarm.upload.block_size import RECORD_DATA
from p2pacs.units import parse_rate
from scripts.program import ScriptError
from tests.simulation.clock import EventClock, make_deterministic
from tests.simulation.halves import HALVES, Half
from tests.simulation.scenario import Plan, Swarm, open_swarm
from tests.simulation.world import SimMember, open_world

Figures = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]

FULL_MESH = 40
"""Members up to which each knows all others."""
NEIGHBOURS = 16
TENTHS = 10
"""Of the limit: how often it is noted which part of the uplinks was used."""
TICK_SECONDS = 0.001
"""By which a task may wake late, as on a busy computer."""
SELDOM = 100_000
"""New objects after which the garbage collector looks for cycles."""
MANY = 100
"""Members from which on two processes simulate half of the hosts each."""
SETTLED_SECONDS: Final = 1.0
"""Members have been in the network for a while when somebody asks for the study."""

KILL_SECONDS = 1.0
"""When the broker dies, if it does."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What a simulation is told."""
    add = parser.add_argument
    add("--members", type=int, default=8, help="that fetch the study, all at once")
    add("--mb", type=float, default=8.0, help="megabytes of the study's chunks")
    add("--replicas", type=int, default=3, help="that have it")
    add("--up", type=_rate, default="800kbit")
    add("--down", type=_rate, default="3mbit")
    add("--delay", type=_seconds, default="21ms", help="each way, between any two members")
    add("--queue", type=int, default=32 * KIB, help="bytes that a modem holds")
    add("--loss", type=float, default=0.0, help="of segments, 0 to 1")
    add("--chunk", type=int, default=32, help="KiB, less what the frames of blocks take")
    add("--seed", type=int, default=1)
    add("--neighbours", type=int, help=f"that each is told of (all, above {FULL_MESH}: 16)")
    add("--kill-broker", action="store_true", help=f"after {KILL_SECONDS:g} s")
    add("--processes", type=int, choices=(1, 2), help=f"(2 from {MANY} members on)")
    add("--headers", action="store_true", help="lines carry TLS, TCP and IP headers, and ACKs")


def _rate(text: str) -> int:
    try:
        return parse_rate(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seconds(text: str) -> float:
    if not text.endswith("ms"):
        raise argparse.ArgumentTypeError(f"not a time: {text!r} (write it as 21ms)")
    return float(text[:-2]) / 1000


async def run(folder: Path, given: argparse.Namespace) -> Figures:
    """One run, on an `EventClock`."""
    started = time.perf_counter()
    processes = given.processes or (1 if given.members < MANY or given.loss else HALVES)
    if processes == 1:
        figures = await simulated(folder, given)
    elif given.loss:
        raise ScriptError("segments are lost in one process alone: --processes 1")
    else:
        with _other_half(given) as connection:
            figures = await simulated(folder, given, Half(0, connection, given.delay))
    return {**figures, "passed": True, "wall_seconds": round(time.perf_counter() - started, 1)}


@contextmanager
def _other_half(given: argparse.Namespace) -> Iterator[Connection]:
    """The line to a process that runs half of the hosts."""
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-m", "scripts.sim", str(theirs.fileno())]
        fixed = {**os.environ, "PYTHONHASHSEED": "0"}  # the same order of every set
        process = subprocess.Popen(command, cwd=ROOT, env=fixed, pass_fds=[theirs.fileno()])
    connection = Connection(ours.detach())
    try:
        connection.send(given)
        yield connection
    finally:
        connection.close()
        process.wait()


def main(descriptor: int) -> None:
    """The other process: half of the hosts of what it is told."""
    connection = Connection(descriptor)
    given = connection.recv()
    logs.configure("warning", json=False)
    half = Half(1, connection, given.delay)
    trio.run(partial(simulated, Path("simulated"), given, half), clock=clock())


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """What a simulation makes lives until its end: to look for cycles is a tenth of its work."""
    before = gc.get_threshold()
    gc.set_threshold(SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)


async def simulated(folder: Path, given: argparse.Namespace, half: Half | None = None) -> Figures:
    """What came of it; of a half, once it knows how it went in the other one."""
    cpu = time.process_time()
    with _seldom_collected():
        async with open_world(folder, half) as world, trio.open_nursery() as nursery:
            swarm = await open_swarm(plan(given), world, nursery)
            await trio.sleep(SETTLED_SECONDS)
            use = Use(swarm)
            nursery.start_soon(use.note)
            if given.kill_broker and swarm.broker.here:
                nursery.start_soon(_kill, swarm.broker)
            try:
                await swarm.fetch_all()
            except TimeoutError as error:
                raise ScriptError(str(error)) from error
            nursery.cancel_scope.cancel()
    seconds = time.process_time() - cpu
    if half is not None:
        sent, other = half.swap((use.sent, seconds))
        use.add(sent)
        seconds += other
    return {**_figures(swarm), "uplinks_used": use.parts(), "cpu_seconds": round(seconds, 1)}


def plan(given: argparse.Namespace) -> Plan:
    """What is to be simulated."""
    hosts = given.members + given.replicas
    neighbours = given.neighbours or (None if hosts <= FULL_MESH else NEIGHBOURS)
    return Plan(
        members=given.members,
        replicas=given.replicas,
        megabytes=given.mb,
        chunk=given.chunk * RECORD_DATA // 16,
        beginning=min(BEGINNING_BYTES, round(given.mb * 1e6 / 2)),
        up=given.up / 8,
        down=given.down / 8,
        delay=given.delay,
        queue=given.queue,
        loss=given.loss,
        overhead=TLS_OVER_TCP if given.headers else NO_OVERHEAD,
        neighbours=neighbours,
        seed=given.seed,
    )


async def _kill(member: SimMember) -> None:
    await trio.sleep(KILL_SECONDS)
    member.kill()


def _figures(swarm: Swarm) -> Figures:
    done = swarm.done.values()
    messages = swarm.messages()
    return {
        "members": len(done),
        "bytes": swarm.total,
        "first": round(min(done), 3),
        "median": round(statistics.median(done), 3),
        "last": round(swarm.last, 3),
        "fluid": round(swarm.fluid, 3),
        "ratio": round(swarm.ratio, 4),
        "wire_over_payload": round(swarm.wire_over_payload, 4),
        "messages": {kind: count for kind, (count, _) in messages.items()},
        "message_bytes": {kind: size for kind, (_, size) in messages.items()},
    }


class Use:
    """Which part of the uplinks was used, in each tenth of the limit."""

    def __init__(self, swarm: Swarm) -> None:
        self._seconds = swarm.fluid / TENTHS
        self._hosts = {"replicas": swarm.replicas, "members": swarm.members}
        self.sent: dict[str, list[int]] = {kind: [] for kind in self._hosts}
        """Bytes in each tenth."""

    async def note(self) -> None:
        """Note it until cancelled."""
        before = dict.fromkeys(self._hosts, 0)
        while True:
            await trio.sleep(self._seconds)
            for kind, hosts in self._hosts.items():
                sent = sum(host.nic.sent for host in hosts)
                self.sent[kind].append(sent - before[kind])
                before[kind] = sent

    def add(self, sent: dict[str, list[int]]) -> None:
        """What the other half's hosts sent."""
        for kind, theirs in sent.items():
            self.sent[kind] = [a + b for a, b in zip(self.sent[kind], theirs, strict=False)]

    def parts(self) -> dict[str, list[float]]:
        """From 0 to 1."""
        possible = {
            kind: self._seconds * sum(host.nic.up for host in hosts)
            for kind, hosts in self._hosts.items()
        }
        return {
            kind: [round(size / possible[kind], 3) for size in sizes]
            for kind, sizes in self.sent.items()
        }


def clock() -> EventClock:
    """Virtual time, in which the same seed gives the same run."""
    make_deterministic()
    return EventClock(TICK_SECONDS)


if __name__ == "__main__":
    main(int(sys.argv[1]))
