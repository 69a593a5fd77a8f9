"""What the lab itself is good for: plain TCP over its lines, and pings beside it.

    python -m scripts.lab.proof --members 11 --seconds 10

Every member sends to its neighbour as fast as TCP goes. Prints what arrived over what headers
leave of a line, the round trips of an idle and of a full line, and the router's own load.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
from pathlib import Path
from typing import Any, Final

import trio

from scripts.folder import until_signalled, work_folder
from scripts.lab import shell
from scripts.lab.lab import Lab, LabPlace, Wish, open_lab
from scripts.lab.line import MTU, Line
from scripts.lab.ping import INTERVAL, Pings
from scripts.program import ScriptError, leaves

PORT: Final = 5001
HEADERS: Final = 52
"""IPv4 (20), TCP (20), time stamps (12)."""

IDLE_PINGS: Final = 8
WARM_UP: Final = 2.0
"""Seconds until all lines are full."""

ADSL: Final = Line(uplink=800_000, downlink=3_000_000, delay=0.0105, queue=32_000)

Json = dict[str, Any]


async def proof(folder: Path, members: int, seconds: float) -> Json:
    """Measures; rates in bits a second, round trips in milliseconds."""
    names = [f"member-{number}" for number in range(members)]
    wishes = [Wish(name, ADSL) for name in (*names, "elsewhere")]
    async with open_lab(folder, wishes) as lab, trio.open_nursery() as nursery:
        idle = await _pings(lab, names[0], IDLE_PINGS * INTERVAL)
        received = dict.fromkeys(names, 0)
        for name, sender in zip(names, [*names[1:], names[0]], strict=True):
            await nursery.start(_take, lab.place(name), received, name)
            nursery.start_soon(_send, lab.place(sender), lab.place(name).address)
        await trio.sleep(WARM_UP)
        begin, before, cpu = time.time(), dict(received), lab.router.cpu_seconds()
        full = await _pings(lab, names[0], seconds)
        took = time.time() - begin
        rates = [(received[name] - before[name]) * 8 / took for name in names]
        load = (lab.router.cpu_seconds() - cpu) / took
        wire = (await lab.traced(begin + took)).between("up", begin, begin + took)
        nursery.cancel_scope.cancel()
    # Every member acknowledges what it receives, over the uplink it sends on.
    expected = ADSL.uplink * (MTU - HEADERS) / MTU
    return {
        "members": members,
        "goodput": [round(rate) for rate in rates],
        "goodput_sum": round(sum(rates)),
        "without_acknowledgements": round(expected * members),
        "uplink_use": round(
            sum(wire[name] for name in names) * 8 / took / ADSL.uplink / members, 4
        ),
        "ping_idle": idle.figures(),
        "ping_full": full.figures(),
        "router_load": round(load, 4),
    }


async def _pings(lab: Lab, name: str, seconds: float) -> Pings:
    pings = Pings()
    with trio.move_on_after(seconds):
        await pings.run(lab.place(name), lab.place("elsewhere").address)
    return pings


async def _take(
    place: LabPlace,
    received: dict[str, int],
    name: str,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    with place.space.inside():
        listener = trio.socket.socket()
    with listener:
        await listener.bind((place.address, PORT))
        listener.listen(1)
        task_status.started()
        stream, _ = await listener.accept()
        with stream:
            while data := await stream.recv(65536):
                received[name] += len(data)


async def _send(place: LabPlace, address: str) -> None:
    with place.space.inside():
        sock = trio.socket.socket()
    with sock:
        await sock.connect((address, PORT))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 16384)
        while True:
            await sock.send(bytes(16384))


async def _run(given: argparse.Namespace) -> Json | None:
    async def work() -> Json:
        return await proof(folder, given.members, given.seconds)

    with work_folder("bench-run") as folder:
        return await until_signalled(work)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts.lab.proof", description="Measures the lab.")
    parser.add_argument("--members", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    figures = None
    try:
        shell.enter("scripts.lab.proof", sys.argv[1:])
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
