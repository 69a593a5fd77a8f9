"""What the lab itself is good for: plain TCP over its lines, and pings beside it.

    python -m scripts.lab.proof --members 11 --seconds 10

Every member sends to one host with a fast line, as fast as TCP goes. Prints what arrived and
what headers leave of the lines, the round trips over an idle and over a full line, and how
much of a processor the router took.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Final

import trio

from p2pacs.output.json_object import JsonObject
from scripts.folder import until_signalled
from scripts.lab import shell
from scripts.lab.lab import Lab, LabPlace, PlaceRequest, open_lab
from scripts.lab.line import MTU, LabLine
from scripts.lab.ping import INTERVAL, Pings
from scripts.program import ScriptError, leaves

PORT: Final = 5001
HEADERS: Final = 52
"""IPv4 (20), TCP (20), time stamps (12)."""

CONGESTION: Final = b"cubic"
"""It keeps the queue full; BBR empties it now and then."""

IDLE_PINGS: Final = 8
WARM_UP: Final = 2.0
"""Seconds until all lines are full."""

DELAY: Final = 0.0105
ADSL: Final = LabLine(uplink=800_000, downlink=3_000_000, delay=DELAY, queue=32_000)
FAST: Final = LabLine(uplink=10**9, downlink=10**9, delay=DELAY, queue=10**7, down_queue=10**7)
"""The receiver's line."""

SINK: Final = "sink"
ELSEWHERE: Final = "elsewhere"


async def proof(folder: Path, members: int, seconds: float) -> JsonObject:
    """Measures; rates in bits a second, round trips in milliseconds."""
    names = [f"member-{number}" for number in range(1, members + 1)]
    wishes = [*(PlaceRequest(name, ADSL) for name in (*names, ELSEWHERE)), PlaceRequest(SINK, FAST)]
    async with open_lab(folder, wishes) as lab, trio.open_nursery() as nursery:
        idle = await _pings(lab, names[0], IDLE_PINGS * INTERVAL)
        sink, received = lab.place(SINK), dict.fromkeys(names, 0)
        for port, name in enumerate(names, PORT):
            await nursery.start(_take, sink, port, received, name)
            nursery.start_soon(_send, lab.place(name), sink.address, port)
        await trio.sleep(WARM_UP)
        begin, before, cpu = time.time(), dict(received), lab.router.cpu_seconds()
        full = await _pings(lab, names[0], seconds)
        took, after = time.time() - begin, dict(received)
        load = (lab.router.cpu_seconds() - cpu) / took
        wire = (await lab.traced(begin + took)).between("up", begin, begin + took)
        nursery.cancel_scope.cancel()
    rates = [(after[name] - before[name]) * 8 / took for name in names]
    expected = ADSL.uplink * (MTU - HEADERS) / MTU
    return {
        "members": members,
        "expected": round(expected),
        "goodput": [round(rate) for rate in rates],
        "ratio": round(sum(rates) / members / expected, 4),
        "uplink_use": [round(wire[name] * 8 / took / ADSL.uplink, 4) for name in names],
        "ping_idle": idle.figures(),
        "ping_full": full.figures(),
        "router_load": round(load, 4),
    }


async def _pings(lab: Lab, name: str, seconds: float) -> Pings:
    pings = Pings()
    with trio.move_on_after(seconds):
        await pings.run(lab.place(name), lab.place(ELSEWHERE).address)
    return pings


async def _take(
    place: LabPlace,
    port: int,
    received: dict[str, int],
    name: str,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    with place.space.inside():
        listener = trio.socket.socket()
    with listener:
        await listener.bind((place.address, port))
        listener.listen(1)
        task_status.started()
        stream, _ = await listener.accept()
        with stream:
            while data := await stream.recv(65536):
                received[name] += len(data)


async def _send(place: LabPlace, address: str, port: int) -> None:
    with place.space.inside():
        sock = trio.socket.socket()
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION)
        await sock.connect((address, port))
        while True:
            await sock.send(bytes(16384))


async def _run(given: argparse.Namespace) -> JsonObject | None:
    with tempfile.TemporaryDirectory() as folder:
        return await until_signalled(partial(proof, Path(folder), given.members, given.seconds))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts.lab.proof", description="Measures the lab.")
    parser.add_argument("--members", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    figures = None
    try:
        if (code := shell.enter("scripts.lab.proof", sys.argv[1:])) is not None:
            return code
        figures = trio.run(_run, given)
    except* ScriptError as errors:
        for error in leaves(errors):
            print(f"The lab failed: {error}", file=sys.stderr)
    if figures is None:
        return 1
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
