"""The whole road once, on this machine, with real processes, TLS, DICOM and paced lines.

A PACS, a broker, three replicas and two hospitals; a workstation moves a study from hospital
A, then from B while A serves it too, then from a fresh hospital with one replica alone. With
``--send`` the other way (`scripts.sending`).
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

import trio
from attrs import frozen
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from p2pacs.errors import P2PacsError, UsageError
from p2pacs.process import logs
from p2pacs.units import format_bytes, parse_rate
from scripts import phantom, sending
from scripts.folder import until_signalled, work_folder
from scripts.live import Live
from scripts.loaded import LoadedStudy, load_folder
from scripts.member import PeerProcess
from scripts.network import LineRates, Network, network
from scripts.pacs import PACS, open_pacs
from scripts.program import ScriptError, leaves
from scripts.report import Report, SendReport, TransferReport
from scripts.showing import show
from scripts.workstation import AET, Workstation, workstation

SLICES = 14
REPLICAS = {f"replica-{number}": f"127.1.0.{number + 1}" for number in (1, 2, 3)}
HOSPITALS = {"hospital-a": "127.2.0.1", "hospital-b": "127.2.0.2"}
LAST = ("hospital-c", "127.2.0.3")
CATALOGUE_SECONDS = 30.0
INTERRUPTED = 130
"""Exit code after a signal, as shells have it."""


@frozen
class Options:
    """The command line."""

    dicom: Path | None
    pacs: str
    slices: int
    lines: LineRates
    json: bool
    keep: bool
    web: bool = False
    """Whether it goes on running, with its pages."""
    send: bool = False
    """Whether a hospital sends the study, in the place of fetching it."""


@frozen
class HospitalFetch:
    """What one hospital's fetch was like."""

    study: str
    report: TransferReport
    exact: bool
    """Every data set that came out of its gateway is the one that was loaded."""


@frozen
class DemoResult:
    """What the demo prints."""

    report: Report
    fetched: tuple[HospitalFetch, ...]
    """The hospitals in the order in which they fetched; the last one over one uplink."""


def parse(arguments: list[str] | None = None) -> Options:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Moves a CT study from a PACS through the swarm to a workstation.",
    )
    parser.add_argument(
        "--dicom", type=Path, metavar="DIR", help="your own DICOM files (default: a phantom)"
    )
    parser.add_argument(
        "--send",
        action="store_true",
        help="the other way: a scanner stores in a hospital; the PACS and another one get it",
    )
    slices = f"slices of the phantom (default: {SLICES}, with --send {sending.SLICES})"
    parser.add_argument("--slices", type=int, help=slices)
    parser.add_argument(
        "--pacs", choices=PACS, default="embedded", help="which PACS (default: embedded)"
    )
    parser.add_argument("--uplink", type=_rate, default="800kbit", help="default: 800kbit")
    parser.add_argument("--downlink", type=_rate, default="3mbit", help="default: 3mbit")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.add_argument("--keep", action="store_true", help="keep demo-run/… with all the logs")
    parser.add_argument(
        "--web",
        action="store_true",
        help="instead of measuring, leave the network running, with its pages and the viewer",
    )
    given = parser.parse_args(arguments)
    if given.web and (given.json or given.send):
        parser.error("--web measures nothing: leave --json and --send out")
    count = (sending.SLICES if given.send else SLICES) if given.slices is None else given.slices
    if count < 1:
        parser.error("--slices: at least 1")
    return Options(
        dicom=given.dicom,
        pacs=given.pacs,
        slices=count,
        lines=LineRates(given.uplink, given.downlink),
        json=given.json,
        keep=given.keep,
        web=given.web,
        send=given.send,
    )


def _rate(text: str) -> str:
    try:
        parse_rate(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


# ---------------------------------------------------------------- the road


async def demo(options: Options, folder: Path, console: Console) -> DemoResult:
    """Runs everything and returns what was measured; with its pages, runs until it is cancelled."""
    console.print("Making a phantom …" if options.dicom is None else f"Reading {options.dicom} …")
    study = await trio.to_thread.run_sync(_study, options, folder)
    size = f"{len(study.paths)} instances, {format_bytes(study.size)}"
    console.print(f"Loading {size} into the {options.pacs} PACS …")
    async with (
        open_pacs(options.pacs, folder, study) as pacs,
        workstation() as station,
    ):
        console.print("Starting a broker, three replicas and two hospitals …")
        async with network(folder, options.lines, pacs) as net:
            with net.explained():
                if options.web:
                    await _start_replicas(net, station)
                    await show(net, HOSPITALS, study, console)
                return await _measure(net, station, study, Live(console))


async def _measure(
    net: Network, station: Workstation, study: LoadedStudy, live: Live
) -> DemoResult:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_start_replicas, net, station)
        for name, host in HOSPITALS.items():
            nursery.start_soon(_start, net, name, "hospital", host, station)
    fetched = [await _fetch(net.peers[name], station, study, live) for name in HOSPITALS]
    await _leave_one_uplink(net)
    name, host = LAST
    await _start(net, name, "hospital", host, station)
    one_uplink = await _fetch(net.peers[name], station, study, live)
    report = Report(
        study=fetched[0].study,
        instances=len(study.paths),
        bytes=study.size,
        exact=all(one.exact for one in (*fetched, one_uplink)),
        transfers=[one.report for one in fetched],
        one_uplink_seconds=one_uplink.report.seconds,
    )
    return DemoResult(report, (*fetched, one_uplink))


async def _start_replicas(net: Network, station: Workstation) -> None:
    async with trio.open_nursery() as nursery:
        for name, host in REPLICAS.items():
            nursery.start_soon(_start, net, name, "replica", host, station)


async def _start(net: Network, name: str, role: str, host: str, station: Workstation) -> None:
    destinations = {AET: str(station.endpoint)} if role == "hospital" else {}
    await (await net.add(name, role, host, destinations)).start()


async def _leave_one_uplink(net: Network) -> None:
    """Ends everybody but the first replica and the broker.

    The broker stays, since it grants the key; it serves only what no other member has.
    """
    async with trio.open_nursery() as nursery:
        for name, peer in net.peers.items():
            if name != next(iter(REPLICAS)):
                nursery.start_soon(peer.stop)


async def _fetch(
    peer: PeerProcess, station: Workstation, study: LoadedStudy, live: Live
) -> HospitalFetch:
    """Moves the study from this peer's gateway to the workstation."""
    await peer.ready(lambda: peer.knows(study.uid), CATALOGUE_SECONDS)
    begin = trio.current_time()
    async with live.following(peer, peer.name):
        received = await station.move(peer.gateway, study.uid)
        seconds = trio.current_time() - begin
    state = await peer.transfer()
    if state is None:
        raise ScriptError(f"{peer.name} sent the study without a transfer")
    report = TransferReport(
        peer=peer.name,
        seconds=round(seconds, 2),
        bytes_received=state.bytes_received,
        sources={name: count for name, count in state.sources.items() if count},
    )
    return HospitalFetch(state.study, report, exact=received == study.digests)


def _study(options: Options, folder: Path) -> LoadedStudy:
    if options.dicom is not None:
        return load_folder(options.dicom)
    phantom.write(folder / "phantom", phantom.slices(options.slices))
    return load_folder(folder / "phantom")


# ---------------------------------------------------------------- what is shown


def table(result: DemoResult) -> Table:
    """The result for people."""
    made = Table(title="One study, from the PACS to the workstation", title_justify="left")
    made.add_column("to")
    made.add_column("seconds", justify="right")
    made.add_column("received", justify="right")
    made.add_column("from each uploader")
    made.add_column("data sets")
    for fetched in result.fetched:
        one = fetched.report
        made.add_row(
            one.peer,
            f"{one.seconds:.1f}",
            format_bytes(one.bytes_received),
            ", ".join(f"{name} {format_bytes(n)}" for name, n in sorted(one.sources.items())),
            "exact" if fetched.exact else "NOT IDENTICAL",
        )
    report = result.report
    first = report.transfers[0].peer
    made.caption = (
        f"{report.instances} instances, {format_bytes(report.bytes)}. The last row is the same "
        "study, coded the same, from one replica over one uplink: "
        f"{first}, from all replicas at once, was "
        f"{report.speed_up:.2f} times as fast. Nothing here is compared with C-GET, which sends "
        "images as they are: docs/coding.md does that."
    )
    made.caption_justify = "left"
    return made


# ---------------------------------------------------------------- the command line


async def _run(options: Options, console: Console) -> tuple[Report | SendReport, Table] | None:
    with work_folder("demo-run", keep=options.keep) as folder:
        if options.send:
            study = await trio.to_thread.run_sync(_study, options, folder)
            run = partial(sending.send, study, options.pacs, options.lines, folder, console)
            sent = await until_signalled(run)
            return None if sent is None else (sent, sending.table(sent))
        fetched = await until_signalled(partial(demo, options, folder, console))
        return None if fetched is None else (fetched.report, table(fetched))


def main() -> int:
    """The command line; 0 only if every data set came out identical."""
    options = parse()
    logs.configure("warning", json=False)
    console = Console(stderr=True)
    failed = False
    result = None
    try:
        result = trio.run(_run, options, console)
    except* (ScriptError, P2PacsError) as errors:
        failed = True
        for error in leaves(errors):
            console.print(f"[bold red]The demo failed:[/] {escape(str(error))}")
    if result is None:
        if not failed:
            console.print("Interrupted; everything that was started has ended.")
        return 1 if failed else 0 if options.web else INTERRUPTED
    report, shown = result
    if options.json:
        print(report.model_dump_json())
    else:
        Console().print(shown)
    return 0 if report.exact else 1


if __name__ == "__main__":
    sys.exit(main())
