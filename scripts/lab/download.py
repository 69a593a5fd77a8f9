"""`scripts/bench download`: one hospital fetches real images; C-GET from Orthanc beside it.

Both move the same study to the same hospital in one run: `p2pacs get` from replicas that hold
it, each behind a line of its own, and DCMTK's getscu from an Orthanc behind one such line. Each is
timed as a command, from its start to its end, with the files written.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import trio
from attrs import frozen

from p2pacs.output.json_object import JsonObject
from p2pacs.study.images import Coding
from p2pacs.units import format_rate
from peer.api.client import PeerClient
from scripts.lab.cget import OrthancInLab, c_get, orthanc_in_lab
from scripts.lab.lab import HOME, Lab, PlaceRequest, open_lab
from scripts.lab.line import LabLine
from scripts.lab.ours import BESIDE, start_all
from scripts.lab.previews import Previews, watch
from scripts.lab.swarm import rate, seconds
from scripts.lab.watch import quiet
from scripts.loaded import LoadedStudy, load_folder, read_digests
from scripts.member import PeerProcess
from scripts.network import LineRates, network
from scripts.pacs import open_pacs
from scripts.program import P2PACS, Command, output_of
from scripts.steps import CATALOGUE_SECONDS, LONGEST_SECONDS, fill_replicas, make_study
from scripts.turned import turned

HELP: Final = "a hospital fetches a real study, against C-GET from Orthanc over one line"
HOSPITAL: Final = "hospital-1"
PACS: Final = "pacs"
QUEUE: Final = 32_000
"""Bytes that every uplink's modem holds."""

GOALS: Final = {"ct-philips-brain-1mm": 14.0}
"""Folder → times as fast as C-GET."""

LINES_WORTH: Final = 2.7
"""For any other folder: times the coding ratio, three lines against one."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the benchmark's arguments."""
    study_arguments(parser)
    parser.add_argument("--against", choices=["orthanc"], help="runs it after ours")
    parser.add_argument(
        "--preview", action="store_true", help="asks when there is something to look at"
    )


def study_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds those that say which study comes over which lines."""
    add = parser.add_argument
    add("--dicom", type=Path, required=True, metavar="DIR", help="the largest study in it is taken")
    add("--slices", type=int, help="so many of its slices instead, turned and mirrored")
    add("--replicas", type=int, default=3, help="that hold it from the start")
    add("--coding", type=Coding, choices=list(Coding), default=Coding.SMALLEST, help="of images")
    add("--up", type=rate, default="800kbit", help="of every line")
    add("--down", type=rate, default="3mbit", help="of every line")
    add("--delay", type=seconds, default="21ms", help="one way between two members")


@frozen
class DownloadSetting:
    """Who is where, from the command line."""

    line: LabLine
    replicas: list[str]
    coding: Coding
    with_orthanc: bool
    with_previews: bool

    @classmethod
    def of(cls, given: argparse.Namespace) -> DownloadSetting:
        """What was asked for."""
        return cls(
            line=LabLine(given.up, given.down, given.delay / 2, QUEUE),
            replicas=[f"replica-{number}" for number in range(1, given.replicas + 1)],
            coding=given.coding,
            with_orthanc=given.against == "orthanc",
            with_previews=given.preview or bool(given.slices),
        )

    def wishes(self) -> list[PlaceRequest]:
        """The places that the lab must have."""
        near = ["broker", *self.replicas, *([PACS] if self.with_orthanc else [])]
        return [
            *(PlaceRequest(name, self.line, lan=True) for name in near),
            PlaceRequest(BESIDE, lan=True),
            PlaceRequest(HOSPITAL, self.line),
        ]


@frozen
class Delivery:
    """One way in which the study came."""

    begin: float
    """Unix time at which the command was started."""
    end: float
    wire_bytes: int
    """That left the lines' uplinks meanwhile, IP headers and acknowledgements included."""

    @property
    def seconds(self) -> float:
        """From the start of the command to its end."""
        return self.end - self.begin


@frozen
class SwarmFetch:
    """What ours did."""

    download: Delivery
    previews: Previews | None
    coded_bytes: int
    """Of the study's chunks."""
    exact: bool
    """Every data set was written with the SHA-256 that it was loaded with."""


async def run(folder: Path, given: argparse.Namespace) -> JsonObject:
    """Fetches by p2pacs, then by C-GET if that was asked for."""
    setting = DownloadSetting.of(given)
    study = await trio.to_thread.run_sync(load_folder, given.dicom)
    if given.slices:
        study = await make_study(folder, turned(list(study.instances()), given.slices))
    theirs: Delivery | None = None
    async with open_lab(folder, setting.wishes()) as lab, _pacs(lab, folder, study) as pacs:
        ours = await _fetch(lab, folder, study, setting, pacs)
        if isinstance(pacs, OrthancInLab):
            theirs = await _c_get(lab, folder, study, pacs)
    return figures(given.dicom.resolve().name, study, ours, theirs)


@asynccontextmanager
async def _pacs(lab: Lab, folder: Path, study: LoadedStudy) -> AsyncIterator[OrthancInLab | str]:
    """The PACS of the broker, on its LAN: Orthanc if it has a place, or the embedded archive."""
    if PACS in lab.places:
        with orthanc_in_lab(lab.place(PACS), folder, study) as orthanc:
            yield orthanc
    else:
        async with open_pacs("embedded", folder, study, HOME) as address:
            yield address


async def _fetch(
    lab: Lab, folder: Path, study: LoadedStudy, setting: DownloadSetting, pacs: OrthancInLab | str
) -> SwarmFetch:
    """Has the study published and the replicas filled, then has the hospital get it."""
    lines = LineRates(format_rate(setting.line.uplink), format_rate(setting.line.downlink))
    address = pacs.dicomweb if isinstance(pacs, OrthancInLab) else pacs
    settings = {"coding": str(setting.coding)}
    async with network(folder, lines, address, lab, settings) as net:
        await start_all(net, "replica", setting.replicas)
        await fill_replicas(net, study, setting.replicas, BESIDE)
        await start_all(net, "hospital", [HOSPITAL])
        hospital = net.peers[HOSPITAL]
        await hospital.ready(partial(hospital.knows, study.uid), CATALOGUE_SECONDS)
        await quiet(lab)
        previews = Previews() if setting.with_previews else None
        async with trio.open_nursery() as nursery:
            if previews is not None:
                nursery.start_soon(watch, hospital.folder, previews)
            download = await _get(lab, hospital, study, folder)
        async with PeerClient.connect(hospital.folder) as api:
            coded = (await api.status())["transfers"][0]["bytes_total"]
    exact = await trio.to_thread.run_sync(is_exact, folder / "files", study)
    return SwarmFetch(download, previews, coded, exact)


async def _get(lab: Lab, hospital: PeerProcess, study: LoadedStudy, folder: Path) -> Delivery:
    command: Command = [*hospital.place.prefix, *P2PACS, "get", hospital.folder, study.uid]
    command += ["--out", folder / "files", "--json"]
    begin = time.time()
    await output_of("p2pacs get", command, folder / "get.log", seconds=LONGEST_SECONDS)
    return await _counted(lab, begin, time.time())


async def _c_get(lab: Lab, folder: Path, study: LoadedStudy, orthanc: OrthancInLab) -> Delivery:
    await quiet(lab)
    begin, end = await c_get(orthanc, lab.place(HOSPITAL), study, folder)
    return await _counted(lab, begin, end)


async def _counted(lab: Lab, begin: float, end: float) -> Delivery:
    trace = await lab.traced(end)
    return Delivery(begin, end, round(sum(trace.between("up", begin, end).values())))


def is_exact(folder: Path, study: LoadedStudy) -> bool:
    """Whether the files in a folder are the instances of the study, every data set identical."""
    return read_digests(folder) == study.digests


def figures(name: str, study: LoadedStudy, ours: SwarmFetch, theirs: Delivery | None) -> JsonObject:
    """What is printed.

    Args:
        name: of the folder that the study came from.
        study: what was fetched.
        ours: how it came by p2pacs.
        theirs: how it came by C-GET; None: it was not asked for.
    """
    coding = study.size / ours.coded_bytes
    goal = GOALS.get(name, LINES_WORTH * coding)
    printed: JsonObject = {
        "instances": len(study.paths),
        "bytes": study.size,
        "coded_bytes": ours.coded_bytes,
        "coding_ratio": round(coding, 3),
        "exact": ours.exact,
        "p2pacs_seconds": round(ours.download.seconds, 2),
        "p2pacs_wire_bytes": ours.download.wire_bytes,
    }
    passed = ours.exact
    if ours.previews is not None:
        printed["previews"] = ours.previews.figures(len(study.paths))
        passed = passed and printed["previews"]["passed"]
    if theirs is None:
        return printed | {"passed": passed}
    ratio = theirs.seconds / ours.download.seconds
    return printed | {
        "orthanc_seconds": round(theirs.seconds, 2),
        "orthanc_wire_bytes": theirs.wire_bytes,
        "goal": round(goal, 2),
        "ratio": round(ratio, 2),
        "passed": passed and ratio >= goal,
    }
