"""The swarm in virtual time: hundreds of members of the real engine in one process.

Everything above TLS is the program itself: mesh, sessions, picker, pacing. Streams run in
memory over simulated lines (tests/simulation), so that figures depend on nothing but the seed.
By default a line carries no headers of TLS, TCP and IP, and no acknowledgements: what is
missing to the limit is then the work of scheduling and of control messages alone. With
``--headers`` it carries them, as in the lab.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import trio

from p2pacs.identity.directory import Role
from p2pacs.limits import KIB
from p2pacs.swarm.paced import Line
from p2pacs.swarm.pacing import NO_OVERHEAD, TLS_OVER_TCP
from p2pacs.swarm.transfer import State, Transfer
from p2pacs.units import parse_rate
from p2pacs.wire.messages import KINDS
from scripts.program import ScriptError
from tests.simulation.clock import EventClock, make_deterministic
from tests.simulation.lines import Nic
from tests.simulation.world import SimMember, Study, World, fetched, open_world

Figures = dict[str, Any]

MEGABYTE = 1_000_000
FULL_MESH = 40
"""Members up to which each knows all others."""
NEIGHBOURS = 16
PATIENCE = 20
"""Times the limit (and a minute) after which a run is given up."""
TENTHS = 10
"""Of the limit: how often it is noted which part of the uplinks was used."""
KILL_SECONDS = 1.0
"""When the broker dies, if it does."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What a simulation is told."""
    add = parser.add_argument
    add("--members", type=int, default=8, help="that fetch the study, all at once")
    add("--mb", type=float, default=8.0, help="megabytes of the study's chunks")
    add("--replicas", type=int, default=3, help="that have it")
    add("--up", type=parse_rate, default="800kbit")
    add("--down", type=parse_rate, default="3mbit")
    add("--delay", type=_seconds, default="21ms", help="each way, between any two members")
    add("--queue", type=int, default=32 * KIB, help="bytes that a modem holds")
    add("--loss", type=float, default=0.0, help="of segments, 0 to 1")
    add("--chunk", type=int, default=32, help="KiB")
    add("--seed", type=int, default=1)
    add("--neighbours", type=int, help=f"that each is told of (all, above {FULL_MESH}: 16)")
    add("--kill-broker", action="store_true", help=f"after {KILL_SECONDS:g} s")
    add("--headers", action="store_true", help="lines carry TLS, TCP and IP headers, and ACKs")


def _seconds(text: str) -> float:
    if not text.endswith("ms"):
        raise argparse.ArgumentTypeError(f"not a time: {text!r} (write it as 21ms)")
    return float(text[:-2]) / 1000


async def run(folder: Path, given: argparse.Namespace) -> Figures:
    """One run, on an `EventClock`."""
    started, cpu = time.perf_counter(), time.process_time()
    async with open_world(folder) as world:
        figures = await _Run(world, given).figures()
    figures["wall_seconds"] = round(time.perf_counter() - started, 1)
    figures["cpu_seconds"] = round(time.process_time() - cpu, 1)
    return figures


def limit(total: int, up: float, down: float, replicas: int, members: int) -> float:
    """The least seconds until all have it (Kumar and Ross): any schedule on any fluid."""
    uploads = up * (replicas + members)
    return max(total / (up * replicas), total / down, members * total / uploads)


class _Run:
    """One world and its figures."""

    def __init__(self, world: World, given: argparse.Namespace) -> None:
        self._world = world
        self._given = given
        self._random = random.Random(given.seed)  # noqa: S311 (no secret)
        self._study = Study(world.key, given.seed, chunk=given.chunk * KIB)
        self._done: list[float] = []
        self._use: dict[str, list[float]] = {"replicas": [], "members": []}

    async def figures(self) -> Figures:
        given, study = self._given, self._study
        broker = await self._world.add("broker", Role.BROKER)
        study.grow(max(1, round(given.mb * MEGABYTE / study.chunk)))
        replicas = [await self._member(f"replica {n}", Role.REPLICA) for n in range(given.replicas)]
        for replica in replicas:
            await study.put(replica.store)
        members = [await self._member(f"hospital {n}", Role.HOSPITAL) for n in range(given.members)]
        total = study.list.total_bytes
        fluid = limit(total, given.up / 8, given.down / 8, len(replicas), len(members))
        with trio.move_on_after(60 + PATIENCE * fluid) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._note_use, "replicas", replicas, fluid / TENTHS)
                nursery.start_soon(self._note_use, "members", members, fluid / TENTHS)
                await self._fetch(broker, replicas, members)
                nursery.cancel_scope.cancel()
        if scope.cancelled_caught:
            raise ScriptError(f"{len(self._done)} of {len(members)} were done after {PATIENCE} x")
        return self._figures([*replicas, *members], total, fluid)

    async def _member(self, name: str, role: Role) -> SimMember:
        given = self._given
        overhead = TLS_OVER_TCP if given.headers else NO_OVERHEAD
        line = Line(given.up, overhead=overhead)  # the downlink is the simulation's
        nic = Nic(
            up=given.up / 8,
            down=given.down / 8,
            delay=given.delay / 2,
            queue=given.queue,
            loss=given.loss,
            overhead=overhead,
            random=random.Random(self._random.random()),  # noqa: S311 (no secret)
        )
        return await self._world.add(name, role, nic=nic, line=line)

    async def _fetch(
        self, broker: SimMember, replicas: list[SimMember], members: list[SimMember]
    ) -> None:
        begin = trio.current_time()
        holders = self._holders([*replicas, *members])
        async with trio.open_nursery() as nursery:
            for member in members:
                transfer = member.fetch(self._study, holders(member))
                nursery.start_soon(self._complete, member, transfer, begin)
            if self._given.kill_broker:
                await trio.sleep(KILL_SECONDS)
                broker.kill()

    async def _note_use(self, kind: str, members: list[SimMember], seconds: float) -> None:
        """Note, again and again, which part of what could be sent was sent."""
        before = 0
        while True:
            await trio.sleep(seconds)
            sent = sum(member.nic.sent for member in members)
            possible = seconds * sum(member.nic.up for member in members)
            self._use[kind].append(round((sent - before) / possible, 3))
            before = sent

    def _holders(self, everybody: list[SimMember]) -> Callable[[SimMember], Sequence[SimMember]]:
        """Whom a member is told of: all, or as many as make this many links each."""
        links = self._given.neighbours
        if links is None:
            links = len(everybody) if len(everybody) <= FULL_MESH else NEIGHBOURS

        def some(member: SimMember) -> Sequence[SimMember]:
            others = [other for other in everybody if other is not member]
            if links >= len(others):
                return others
            return self._random.sample(others, max(1, links // 2))  # as many dial it

        return some

    async def _complete(self, member: SimMember, transfer: Transfer, begin: float) -> None:
        await transfer.wait_complete()
        if transfer.state is not State.COMPLETE:
            raise ScriptError(f"{member.record.name} failed: {transfer.error}")
        self._done.append(trio.current_time() - begin)
        await fetched(member, self._study)

    def _figures(self, members: list[SimMember], total: int, fluid: float) -> Figures:
        count = len(self._done)
        messages: Counter[int] = sum((m.nic.messages for m in members), Counter())
        sizes: Counter[int] = sum((m.nic.message_bytes for m in members), Counter())
        return {
            "members": count,
            "bytes": total,
            "first": round(min(self._done), 3),
            "median": round(statistics.median(self._done), 3),
            "last": round(max(self._done), 3),
            "fluid": round(fluid, 3),
            "ratio": round(max(self._done) / fluid, 4),
            "wire_over_payload": round(sum(m.nic.sent for m in members) / count / total, 4),
            "uplinks_used": self._use,
            "messages": {KINDS[n].__name__: found for n, found in messages.most_common()},
            "message_bytes": {KINDS[n].__name__: size for n, size in sizes.most_common()},
            "passed": True,
        }


def clock() -> EventClock:
    """Virtual time, in which the same seed gives the same run."""
    make_deterministic()
    return EventClock()
