"""Speed and memory, each as a ratio against an opponent in the same run, as one JSON object.

The exit code is 0 only if the goals were reached. None of this is a test: seconds depend on the
machine, ratios much less so.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio
from attrs import frozen
from rich.console import Console
from rich.markup import escape

from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.errors import P2PacsError
from p2pacs.process import logs
from scripts import coding, dicomweb_rate, phantom, publishing, sim, storing
from scripts.folder import until_signalled, work_folder
from scripts.lab import download, sending, shell, swarm, uplink, viewing
from scripts.loaded import LoadedStudy
from scripts.network import LineRates, network
from scripts.pacs import open_orthanc, open_pacs
from scripts.program import Command, ScriptError, leaves, output_of
from scripts.rsync import ssh_server
from scripts.steps import LONGEST_SECONDS, fill_replicas, hospital, make_study, timed_fetch
from tests.components import StoreScp, storescp

ADSL = LineRates("800kbit", "3mbit")
UNPACED = LineRates(None, None)
REPEATS = 3
MEGABYTE = 1_000_000

Figures = dict[str, Any]


@frozen
class Bench:
    """One benchmark: what runs, and what it is told on the command line."""

    run: Callable[[Path, argparse.Namespace], Awaitable[Figures]]
    """Gives the figures; ``passed`` among them."""
    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    """Adds its own arguments."""
    clock: Callable[[], trio.abc.Clock | None] = lambda: None
    """The clock that it runs on; None for the machine's."""
    in_lab: bool = False
    """Whether it runs in the lab's own world (`scripts.lab.shell`)."""


# ---------------------------------------------------------------- the benchmarks


async def swarm3(folder: Path, slices: int) -> Figures:
    """A hospital from three replicas that have the study, and another from one of them."""
    study = await make_study(folder, phantom.slices(slices))
    replicas = {f"replica-{number}": f"127.1.0.{number + 1}" for number in (1, 2, 3)}
    async with open_pacs("embedded", folder, study) as pacs, network(folder, ADSL, pacs) as net:
        for name, host in replicas.items():
            await (await net.add(name, "replica", host)).start()
        await fill_replicas(net, study, list(replicas))
        three = await timed_fetch(await hospital(net, "from-three", "127.2.0.1"), study)
        for name in ("replica-2", "replica-3", "from-three"):
            await net.peers[name].stop()
        one = await timed_fetch(await hospital(net, "from-one", "127.2.0.2"), study)
    return _figures(goal=2.7, ratio=one / three, three_seconds=three, one_seconds=one)


async def link(folder: Path, slices: int) -> Figures:
    """Peer to peer on loopback, TLS, verification and disk included, and rsync over ssh.

    The images are noise, so that both move the same number of bytes.
    """
    study = await make_study(folder, phantom.incompressible(slices))
    async with open_pacs("embedded", folder, study) as pacs, network(folder, UNPACED, pacs) as net:
        first = await hospital(net, "first", "127.2.0.1")
        second = await hospital(net, "second", "127.2.0.2")
        for program in net.programs:  # checking a password takes much memory on purpose
            program.forget_peak()
        await timed_fetch(first, study)
        seconds = await timed_fetch(second, study)
        memory = {program.name: program.peak_memory() for program in net.programs}
    async with ssh_server(folder / "ssh") as ssh:
        opponent = await ssh.copy(folder / "study", folder / "copied")
    figures = _figures(
        goal=0.5,
        ratio=opponent / seconds,
        bytes=study.size,
        p2pacs_seconds=seconds,
        rsync_seconds=opponent,
    )
    limit = 200 * MEGABYTE
    figures["peak_memory"] = memory
    figures["passed"] = figures["passed"] and max(memory.values()) < limit
    return figures


async def move(folder: Path, slices: int) -> Figures:
    """C-MOVE to DCMTK's storescp: from a peer that has the study, and from Orthanc."""
    study = await make_study(folder, phantom.slices(slices))
    with storescp(folder / "received", "+xa") as receiver:
        async with (
            open_orthanc(folder, study, {receiver.aet: receiver.port}) as orthanc,
            network(folder, UNPACED, orthanc.dicomweb) as net,
        ):
            peer = await hospital(net, "hospital", "127.1.0.8", receiver)
            await timed_fetch(peer, study)
            remote = DimseRemote(orthanc.aet, "127.0.0.1", orthanc.dicom_port)
            ours, theirs = [], []
            for _ in range(REPEATS):
                ours.append(await _timed_move(peer.gateway, receiver, study, folder))
                theirs.append(await _timed_move(remote, receiver, study, folder))
    return _figures(
        goal=1 / 3,
        ratio=statistics.median(theirs) / statistics.median(ours),
        bytes=study.size,
        p2pacs_seconds=statistics.median(ours),
        orthanc_seconds=statistics.median(theirs),
    )


def _of_slices(run: Callable[[Path, int], Awaitable[Figures]], slices: int, text: str) -> Bench:
    """A benchmark whose one argument is how large a study it takes."""

    def arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--slices", type=int, default=slices, help="of 0.5 MB each")

    async def start(folder: Path, given: argparse.Namespace) -> Figures:
        return await run(folder, given.slices)

    return Bench(start, text, arguments)


BENCHES = {
    "swarm3": _of_slices(swarm3, 14, "a hospital from three replicas against one: at least 2.7"),
    "link": _of_slices(link, 2000, "1 GB peer to peer against rsync: at least 0.5, < 200 MB"),
    "publish": Bench(publishing.run, publishing.HELP, publishing.arguments),
    "sim": Bench(sim.run, "many members in virtual time", sim.arguments, sim.clock),
    "swarm": Bench(swarm.run, swarm.HELP, swarm.arguments, in_lab=True),
    "uplink": Bench(uplink.run, uplink.HELP, uplink.arguments, in_lab=True),
    "coding": Bench(coding.run, coding.HELP, coding.arguments),
    "download": Bench(download.run, download.HELP, download.arguments, in_lab=True),
    "dicomweb": Bench(dicomweb_rate.run, dicomweb_rate.HELP, dicomweb_rate.arguments),
    "send": Bench(sending.run, sending.HELP, sending.arguments, in_lab=True),
    "viewer": Bench(viewing.run, viewing.HELP, viewing.arguments, in_lab=True),
    "store": Bench(storing.run, storing.HELP, storing.arguments),
    "move": _of_slices(move, 200, "C-MOVE from a peer against Orthanc: at least 1/3"),
}

# ---------------------------------------------------------------- their parts


async def _timed_move(
    remote: DimseRemote, receiver: StoreScp, study: LoadedStudy, folder: Path
) -> float:
    for path in receiver.files():
        path.unlink()
    command: Command = ["movescu", "-S", "-aec", remote.aet, "-aem", receiver.aet]
    command += ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study.uid}"]
    command += [remote.host, str(remote.port)]
    begin = trio.current_time()
    await output_of("movescu", command, folder / "movescu.log", seconds=LONGEST_SECONDS)
    seconds = trio.current_time() - begin
    if (count := len(receiver.files())) != len(study.paths):
        raise ScriptError(f"{remote.aet} moved {count} of {len(study.paths)} instances")
    return seconds


def _figures(*, goal: float, ratio: float, **others: float) -> Figures:
    return {
        "goal": round(goal, 3),
        "ratio": round(ratio, 3),
        "passed": ratio >= goal,
        **{name: round(value, 3) for name, value in others.items()},
    }


# ---------------------------------------------------------------- the command line


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line: ``bench``, ``keep``, and the benchmark's own arguments."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures one thing.")
    commands = parser.add_subparsers(dest="bench", required=True, metavar="BENCH")
    for name, bench in BENCHES.items():
        command = commands.add_parser(name, help=bench.help, description=bench.help)
        bench.arguments(command)
        command.add_argument("--keep", action="store_true", help="keep bench-run/… with all logs")
        command.add_argument("--json", action="store_true", help="as always: one JSON object")
    return parser.parse_args(arguments)


async def _run(given: argparse.Namespace) -> Figures | None:
    with work_folder("bench-run", keep=given.keep) as folder:
        return await until_signalled(partial(BENCHES[given.bench].run, folder, given))


def main() -> int:
    """The command line; 0 only if the goals were reached."""
    given = parse()
    logs.configure("warning", json=False)
    figures = None
    try:
        if BENCHES[given.bench].in_lab:
            code = shell.enter("scripts.bench", sys.argv[1:])
            if code is not None:
                return code
        figures = trio.run(_run, given, clock=BENCHES[given.bench].clock())
    except* (ScriptError, P2PacsError) as errors:
        for error in leaves(errors):
            Console(stderr=True).print(f"[bold red]The benchmark failed:[/] {escape(str(error))}")
    if figures is None:
        return 1
    print(json.dumps({"bench": given.bench, **figures}))
    return 0 if figures["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
