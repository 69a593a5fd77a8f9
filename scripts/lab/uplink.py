"""`scripts/bench uplink`: one uplink that nobody described, on real TCP over a line of the lab.

A member sends all the time: alone, while the line's rate changes and changes back, beside a TCP
upload of its own that never yields, and after that has stopped. Another place is pinged over the
same line.
"""

from __future__ import annotations

import argparse
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import trio
from attrs import define, field, frozen

from p2pacs.output.json_object import JsonObject
from scripts.lab.icmp import ANSWERS, KINDS
from scripts.lab.lab import Lab, LabPlace, PlaceRequest, open_lab
from scripts.lab.line import MTU, LabLine
from scripts.lab.ping import Pings, milliseconds
from scripts.lab.proof import CONGESTION, DELAY, FAST, HEADERS
from scripts.program import Command, running

HELP: Final = "an uplink that nobody described: found, followed, shared"
MEMBER: Final = "member"
ELSEWHERE: Final = "elsewhere"
PORT: Final = 5001
OTHER_PORT: Final = 5002
SETTLED: Final = 0.95
"""Of a rate that changed, so much is used once it is followed."""

GOALS: Final = {
    "start_seconds": 3.0,
    "lower_seconds": 5.0,
    "lower_long_ping_seconds": 2.0,
    "higher_seconds": 5.0,
    "beside_share": 0.5,
    "after_seconds": 5.0,
    "steady_ping_ms": 90.0,
}
"""Figure → at most."""

LONG_PING: Final = 0.2
WINDOW: Final = 1.0
"""Seconds over which a rate is looked at."""

LOOK_SECONDS: Final = 0.1
HALF: Final = 0.5


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the benchmark's arguments."""
    parser.add_argument("--hops", choices=KINDS, default=ANSWERS, help="routers on the line")
    parser.add_argument("--up", type=int, default=800_000, help="bits a second of the line")
    parser.add_argument("--seconds", type=float, default=15.0, help="that each part lasts")


@define
class Received:
    """Bytes of one connection that arrived, over time."""

    times: list[float] = field(factory=lambda: [0.0])
    totals: list[int] = field(factory=lambda: [0])

    def add(self, size: int) -> None:
        """So many more."""
        self.times.append(time.time())
        self.totals.append(self.totals[-1] + size)

    def between(self, begin: float, end: float) -> int:
        """Bytes that came in this time."""
        counted = zip(self.times, self.totals, strict=True)
        before = after = 0
        for at, total in counted:
            before = total if at <= begin else before
            after = total if at <= end else after
        return after - before

    def reaches(self, rate: float, begin: float, end: float) -> float | None:
        """Seconds from the beginning until this rate (bits a second) came for `WINDOW`."""
        at = begin
        while at + WINDOW <= end:
            if self.between(at, at + WINDOW) * 8 / WINDOW >= rate:
                return at - begin
            at += LOOK_SECONDS
        return None


@frozen
class Parts:
    """When each part of a run began (Unix)."""

    alone: float
    lower: float
    higher: float
    beside: float
    after: float
    end: float


async def run(folder: Path, given: argparse.Namespace) -> JsonObject:
    """Runs all parts; ``passed`` if every one of `GOALS` was reached."""
    line = LabLine(given.up, 3_000_000, delay=DELAY, queue=32_000, hops=given.hops)
    wishes = [PlaceRequest(MEMBER, line), PlaceRequest(ELSEWHERE, FAST)]
    async with open_lab(folder, wishes) as lab:
        ours, others, pings, parts = await _parts(lab, folder, given)
        await lab.traced(parts.end)
    said = figures(ours, others, pings, parts, given.up * (MTU - HEADERS) / MTU)
    missed = [name for name, most in GOALS.items() if said[name] is None or said[name] > most]
    return {**said, "goals": GOALS, "missed": missed, "passed": not missed}


async def _parts(
    lab: Lab, folder: Path, given: argparse.Namespace
) -> tuple[Received, Received, Pings, Parts]:
    member, elsewhere = lab.place(MEMBER), lab.place(ELSEWHERE)
    ours, others, pings, begun = Received(), Received(), Pings(), []

    async def part() -> None:
        begun.append(time.time())
        await trio.sleep(given.seconds)

    async with trio.open_nursery() as nursery:
        await nursery.start(_take, elsewhere, PORT, ours)
        await nursery.start(_take, elsewhere, OTHER_PORT, others)
        nursery.start_soon(pings.run, member, elsewhere.address)
        command: Command = [*member.prefix, sys.executable, "-m", "scripts.lab.uplink_sender"]
        command += [elsewhere.address, str(PORT)]
        async with running("sender", command, folder / "sender.log"):
            while len(ours.times) < 2:  # it has started
                await trio.sleep(LOOK_SECONDS)
            await part()
            lab.change({MEMBER: round(given.up * HALF)})
            await part()
            lab.change({MEMBER: given.up})
            await part()
            async with _upload(member, elsewhere.address):
                await part()
            await part()
            begun.append(time.time())
        nursery.cancel_scope.cancel()
    return ours, others, pings, Parts(*begun)


async def _take(
    place: LabPlace, port: int, received: Received, *, task_status: trio.TaskStatus[None]
) -> None:
    with place.space.inside():
        listener = trio.socket.socket()
    with listener:
        await listener.bind((place.address, port))
        listener.listen(1)
        task_status.started()
        stream, _ = await listener.accept()
        with stream, suppress(ConnectionResetError):
            while data := await stream.recv(65536):
                received.add(len(data))


@asynccontextmanager
async def _upload(place: LabPlace, address: str) -> AsyncIterator[None]:
    """TCP that sends as fast as it can, while the block runs."""
    with place.space.inside():
        sock = trio.socket.socket()

    async def send() -> None:
        while True:
            await sock.send(bytes(16384))

    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION)
        await sock.connect((address, OTHER_PORT))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            yield
            # what waits in the kernel would go on for seconds
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
            nursery.cancel_scope.cancel()


def figures(
    ours: Received, others: Received, pings: Pings, parts: Parts, rate: float
) -> JsonObject:
    """What is printed of a run.

    Args:
        ours: What arrived of the member's.
        others: Of the upload beside it.
        pings: Over the same line.
        parts: When what began.
        rate: Bits a second that headers leave of the line.
    """

    def trips(begin: float, end: float) -> Sequence[float]:
        return [one for at, one in zip(pings.at, pings.trips, strict=True) if begin <= at < end]

    def use(begin: float, end: float, rate: float) -> float:
        return round(ours.between(begin, end) * 8 / (end - begin) / rate, 3)

    steady = parts.alone + 5.0, parts.lower
    lower = trips(parts.lower, parts.higher)
    mine, theirs = (one.between(parts.beside + 5.0, parts.after) for one in (ours, others))
    return {
        "start_seconds": ours.reaches(0.9 * rate, parts.alone, parts.lower),
        "steady_use": use(*steady, rate),
        "steady_ping_ms": milliseconds(trips(*steady))["median"],
        "lower_seconds": ours.reaches(SETTLED * HALF * rate, parts.lower, parts.higher),
        "lower_use_after_5s": use(parts.lower + 5.0, parts.higher, HALF * rate),
        "lower_long_ping_seconds": round(
            sum(one > LONG_PING for one in lower)
            / max(1, len(lower))
            * (parts.higher - parts.lower),
            2,
        ),
        "lower_ping_ms_after_5s": milliseconds(trips(parts.lower + 5.0, parts.higher)),
        "higher_seconds": ours.reaches(SETTLED * rate, parts.higher, parts.beside),
        "beside_share": round(mine / max(1, mine + theirs), 3),
        "after_seconds": ours.reaches(SETTLED * rate, parts.after, parts.end),
        "after_use_after_5s": use(parts.after + 5.0, parts.end, rate),
        "ping_ms": milliseconds(pings.trips),
    }
