"""`scripts/bench swarm`: everybody wants the same study at once, on real TCP over real lines."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import attrs
from attrs import frozen

from p2pacs.errors import UsageError
from p2pacs.output.json_object import JsonObject
from p2pacs.settings import parse_size
from p2pacs.units import format_rate, parse_rate
from scripts.lab.figures import SwarmOutcome, figures, fluid_seconds, goal
from scripts.lab.icmp import ANSWERS, KINDS
from scripts.lab.lab import Lab, PlaceRequest, open_lab
from scripts.lab.line import LabLine
from scripts.lab.nat import parse_kinds
from scripts.lab.opponent import run_opponent
from scripts.lab.ours import BESIDE, run_ours
from scripts.lab.plan import Plan
from scripts.lab.plot import Panel, plot
from scripts.lab.watch import RunWatch
from scripts.network import LineRates

HELP: Final = "many hospitals want a study at once, in network namespaces behind lines"
ELSEWHERE: Final = "elsewhere"
"""The host that takes no part and answers pings."""

LONGEST_FLUIDS: Final = 6.0
LONGEST_MORE: Final = 60.0
"""A run may take so many times the limit, and so many seconds more."""

PINGING: Final = ("replica-1", "hospital-1")
"""Members beside whose traffic another host is pinged."""

UNTOLD: Final = LineRates(None, None)

Run = Callable[[Lab, Path, Plan, RunWatch], Awaitable[SwarmOutcome]]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the benchmark's arguments."""
    parser.add_argument("--clients", type=int, default=8, help="hospitals that want the study")
    parser.add_argument("--mb", type=float, default=8.0, help="million bytes of the study, coded")
    parser.add_argument("--replicas", type=int, default=3, help="that hold it from the start")
    parser.add_argument("--up", type=rate, default="800kbit", help="of every line")
    parser.add_argument("--down", type=rate, default="3mbit", help="of every line")
    parser.add_argument("--delay", type=seconds, default="21ms", help="one way between two members")
    parser.add_argument(
        "--measured", action="store_true", help="nobody is told what its line carries"
    )
    parser.add_argument("--hops", choices=KINDS, default=ANSWERS, help="routers on the lines")
    parser.add_argument("--loss", type=float, default=0.0, help="part of the packets")
    parser.add_argument("--queue", type=parse_size, default="32kB", help="of every uplink")
    parser.add_argument("--against", choices=["libtorrent"], help="runs it after ours")
    parser.add_argument(
        "--nat", type=parse_kinds, default=(), metavar="KIND[,KIND]",
        help="routers that hospitals are behind, one after the other in turn",
    )  # fmt: skip
    parser.add_argument("--kill-broker", action="store_true", help="soon after the start")
    parser.add_argument("--ping", action="store_true", help="another host from two busy lines")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="each uplink's use (svg, png)")


def rate(text: str) -> int:
    """Bits a second in ``800kbit``.

    Raises:
        ValueError: no rate.
    """
    try:
        return parse_rate(text)
    except UsageError as error:
        raise ValueError(str(error)) from error


def seconds(text: str) -> float:
    """Seconds in ``21ms`` or ``0.5s``.

    Raises:
        ValueError: neither.
    """
    if text.endswith("ms"):
        return float(text.removesuffix("ms")) / 1000
    if text.endswith("s"):
        return float(text.removesuffix("s"))
    raise ValueError("not a time (write it as 21ms or 0.5s)")


@frozen
class SwarmSetting:
    """The members and their lines, from the command line."""

    line: LabLine
    replicas: list[str]
    clients: list[str]
    nat: Sequence[str] = ()
    """Kinds of NAT that the clients are behind, in turn."""

    @classmethod
    def of(cls, given: argparse.Namespace) -> SwarmSetting:
        """What was asked for."""
        return cls(
            line=LabLine(
                given.up, given.down, given.delay / 2, given.queue, given.loss, hops=given.hops
            ),
            replicas=[f"replica-{number}" for number in range(1, given.replicas + 1)],
            clients=[f"hospital-{number}" for number in range(1, given.clients + 1)],
            nat=given.nat,
        )

    @property
    def members(self) -> list[str]:
        """All whose uplinks count."""
        return ["broker", *self.replicas, *self.clients]

    @property
    def rates(self) -> dict[str, int]:
        """Bits a second of each member's uplink."""
        return dict.fromkeys(self.members, self.line.uplink)

    def wishes(self) -> list[PlaceRequest]:
        """The places that the lab must have."""
        near = [PlaceRequest(name, self.line, lan=True) for name in ("broker", *self.replicas)]
        kinds = itertools.cycle(self.nat or [None])
        far = [PlaceRequest(name, self.line, nat=next(kinds)) for name in self.clients]
        return [*near, PlaceRequest(BESIDE, lan=True), *far, PlaceRequest(ELSEWHERE, self.line)]

    def fluid(self, size: int) -> float:
        """The limit for so many bytes."""
        up, down = self.line.uplink, self.line.downlink
        clients = len(self.clients)
        return fluid_seconds(size, [up] * len(self.replicas), [up] * clients, [down] * clients)


async def run(folder: Path, given: argparse.Namespace) -> JsonObject:
    """Runs ours, then the opponent in the same lab; ``passed`` is about ours alone."""
    setting = SwarmSetting.of(given)
    limit = LONGEST_FLUIDS * setting.fluid(round(given.mb * 1e6)) + LONGEST_MORE
    plan = Plan(
        replicas=setting.replicas,
        clients=setting.clients,
        lines=UNTOLD
        if given.measured
        else LineRates(format_rate(given.up), format_rate(given.down)),
        megabytes=given.mb,
        kill_broker=given.kill_broker,
        longest=limit,
        size=0,
    )
    printed: JsonObject = {}
    panels: list[Panel] = []
    async with open_lab(folder, setting.wishes()) as lab:
        runs: list[tuple[str, Run]] = [("p2pacs", run_ours)]
        if given.against:
            runs.append(("libtorrent", run_opponent))
        for name, start in runs:
            watch = RunWatch(lab, PINGING if given.ping else (), ELSEWHERE)
            (folder / name).mkdir()
            outcome = await start(lab, folder / name, plan, watch)
            plan = attrs.evolve(plan, size=outcome.size)
            trace = await lab.traced(outcome.end)
            fluid = setting.fluid(outcome.size)
            said = figures(outcome, trace, fluid=fluid, cpu=watch.spent(), rates=setting.rates)
            printed[name] = said | watch.figures()
            panels.append(Panel.of(name, trace, outcome, setting.rates))
    if given.plot:
        plot(given.plot, panels)
    asked = goal(given.clients, loss=given.loss, broker_killed=given.kill_broker)
    return {**printed, "goal": asked, "passed": printed["p2pacs"]["ratio"] <= asked}
