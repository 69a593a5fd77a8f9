"""`scripts/bench send`: a scanner stores in a hospital; PACS and another hospital get the study.

The hospital has a line of its own; broker, replicas and PACS are on a LAN, each with a line, too.
DCMTK's storescu is the scanner. Beside it, the same storescu sends the same files over the same
line to an Orthanc that stands where the PACS is: what it takes today, and nobody else has it then.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import trio
from attrs import frozen

from p2pacs.errors import NotFoundError, UnavailableError
from p2pacs.output.json_object import JsonObject
from p2pacs.units import format_rate
from peer.api.client import PeerClient
from scripts.lab.cget import LONGEST, LONGEST_MORE, OrthancInLab, orthanc_in_lab
from scripts.lab.download import PACS, QUEUE, Delivery, is_exact, study_arguments
from scripts.lab.lab import HOME, Lab, PlaceRequest, open_lab
from scripts.lab.line import LabLine
from scripts.lab.ours import start_all
from scripts.lab.previews import Previews, watch
from scripts.lab.sent_figures import SendOutcome, SendTimes
from scripts.lab.watch import quiet
from scripts.loaded import LoadedStudy, load_folder
from scripts.member import PeerProcess
from scripts.network import LineRates, Network, network
from scripts.pacs import EmptyPacs, contents_of, open_empty_pacs
from scripts.program import P2PACS, Command, output_of
from scripts.steps import LONGEST_SECONDS, make_study
from scripts.turned import turned

HELP: Final = "a scanner's study out of a hospital, to the PACS and to another hospital at once"
SENDER: Final = "hospital-a"
READER: Final = "hospital-b"
OPPONENT: Final = "opponent"
LOOK_SECONDS: Final = 0.05
AGAIN_SECONDS: Final = 5.0
HALF_LEAST: Final = 200_000
"""Bytes: a study that has only begun may seem to be half here."""

SETTLE_SECONDS: Final = 3.0
"""After all have all: what is sent again or twice would be sent now."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the benchmark's arguments."""
    study_arguments(parser)
    add = parser.add_argument
    add("--pacs", choices=["embedded", "orthanc"], default="embedded", help="the hospital's goal")
    add("--against", choices=["orthanc"], help="storescu over the same line, after ours")
    add("--cut", type=float, metavar="SECONDS", help="cuts the line in the middle, kills the peer")
    parser.set_defaults(replicas=1)


@frozen
class SendSetting:
    """Who is where, from the command line."""

    line: LabLine
    replicas: list[str]
    coding: str
    pacs: str
    with_orthanc: bool
    cut: float | None
    """Seconds for which the line carries nothing; in their middle the peer is killed."""

    @classmethod
    def of(cls, given: argparse.Namespace) -> SendSetting:
        """What was asked for."""
        return cls(
            line=LabLine(given.up, given.down, given.delay / 2, QUEUE),
            replicas=[f"replica-{number}" for number in range(1, given.replicas + 1)],
            coding=str(given.coding),
            pacs=given.pacs,
            with_orthanc=given.against == "orthanc",
            cut=given.cut,
        )

    def wishes(self) -> list[PlaceRequest]:
        """The places that the lab must have."""
        near = ["broker", *self.replicas, PACS, *([OPPONENT] if self.with_orthanc else [])]
        return [
            *(PlaceRequest(name, self.line, lan=True) for name in near),
            *(PlaceRequest(name, self.line) for name in (SENDER, READER)),
        ]


async def run(folder: Path, given: argparse.Namespace) -> JsonObject:
    """Sends by p2pacs, then by C-STORE alone if that was asked for."""
    setting = SendSetting.of(given)
    study = await trio.to_thread.run_sync(load_folder, given.dicom)
    if given.slices:
        study = await make_study(folder, turned(list(study.instances()), given.slices))
    theirs: Delivery | None = None
    async with open_lab(folder, setting.wishes()) as lab:
        async with _pacs(setting, lab, folder) as pacs:
            ours = await _send(lab, folder, study, setting, pacs)
        if setting.with_orthanc:
            with orthanc_in_lab(lab.place(OPPONENT), folder / OPPONENT, None) as orthanc:
                theirs = await _c_store(lab, folder, study, orthanc)
    return ours.figures(study, setting.line.uplink, theirs)


@asynccontextmanager
async def _pacs(setting: SendSetting, lab: Lab, folder: Path) -> AsyncIterator[EmptyPacs]:
    """The PACS that the study goes home to."""
    if setting.pacs == "embedded":
        async with open_empty_pacs("embedded", folder, HOME) as pacs:
            yield pacs
    else:
        place = lab.place(PACS)
        with orthanc_in_lab(place, folder, None) as made:
            yield contents_of(made.server, made.dicomweb, place.space.inside)


# ---------------------------------------------------------------- ours


async def _send(
    lab: Lab, folder: Path, study: LoadedStudy, setting: SendSetting, pacs: EmptyPacs
) -> SendOutcome:
    line = setting.line
    lines = LineRates(format_rate(line.uplink), format_rate(line.downlink))
    async with network(folder, lines, pacs.address, lab, {"coding": setting.coding}) as net:
        await start_all(net, "replica", setting.replicas)
        await start_all(net, "hospital", [SENDER], {"sending.enabled": True})
        await start_all(net, "hospital", [READER])
        await quiet(lab)
        sender, reader = net.peers[SENDER], net.peers[READER]
        times = SendTimes(time.time())
        before: dict[str, int] = {}
        with trio.fail_after(LONGEST_SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_first_instance, sender, times)
                nursery.start_soon(_home, pacs, study, times)
                nursery.start_soon(_scan, sender, study, folder, times)
                if setting.cut is not None:
                    nursery.start_soon(_address, sender, study)
                    nursery.start_soon(_cut, lab, net, setting.cut, before)
                await _read(reader, study, times, addressed=setting.cut is not None)
        await trio.sleep(SETTLE_SECONDS)
        sent = Counter(await _sent_by(sender)) + Counter(before)
        wire = (await lab.traced(times.end)).between("up", times.begin, times.end)[SENDER]
        async with PeerClient.connect(reader.folder) as api:
            coded = (await api.status())["transfers"][0]["bytes_total"]
        command: Command = [*reader.place.prefix, *P2PACS, "get", reader.folder, study.uid]
        command += ["--out", folder / "files", "--json"]
        await output_of("p2pacs get", command, folder / "get.log", seconds=LONGEST_SECONDS)
    exact = await trio.to_thread.run_sync(is_exact, folder / "files", study)
    return SendOutcome(
        times, coded, round(wire), dict(sent), exact and pacs.digests() == study.digests
    )


async def _sent_by(peer: PeerProcess) -> dict[str, int]:
    """Bytes of chunks that it has sent since its start, by name of who got them."""
    async with PeerClient.connect(peer.folder) as api:
        return {one["name"]: one["bytes"] for one in (await api.status())["uploads"]}


async def _scan(peer: PeerProcess, study: LoadedStudy, folder: Path, times: SendTimes) -> None:
    gateway = peer.gateway
    command: Command = [*peer.place.prefix, "storescu", "-aec", gateway.aet]
    command += [gateway.host, str(gateway.port), *study.paths]
    times.begin = time.time()
    await output_of("storescu", command, folder / "scanner.log", seconds=LONGEST_SECONDS)
    times.stored = time.time()


async def _address(sender: PeerProcess, study: LoadedStudy) -> None:
    """Have it go to the reader's hospital, as soon as something of it came."""
    async with PeerClient.connect(sender.folder) as client:
        while True:
            try:
                return await client.address([study.uid], [READER], "interactive")
            except NotFoundError:
                await trio.sleep(LOOK_SECONDS)


async def _cut(lab: Lab, net: Network, seconds: float, before: dict[str, int]) -> None:
    """Cut the sender's line when half of the study is at the reader; kill the sender meanwhile.

    Args:
        lab: where the line is.
        net: where both are.
        seconds: for which it carries nothing.
        before: gets what the sender had sent until it was killed.
    """
    sender, reader = net.peers[SENDER], net.peers[READER]
    while True:
        transfer = await reader.transfer()
        if transfer is not None and transfer.bytes_held > transfer.bytes_total / 2 > HALF_LEAST:
            break
        await trio.sleep(LOOK_SECONDS)
    with lab.cut(SENDER), trio.CancelScope() as scope:
        scope.deadline = trio.current_time() + seconds
        await trio.sleep(seconds / 2)
        before.update(await _sent_by(sender))
        if sender.program is not None:
            sender.program.kill()
        with trio.CancelScope(shield=True):
            await sender.start()
        await trio.sleep_forever()


async def _first_instance(peer: PeerProcess, times: SendTimes) -> None:
    files = peer.folder / "spool" / "instances"
    while not any(files.iterdir()):
        await trio.sleep(LOOK_SECONDS)
    times.first_instance = time.time()


async def _home(pacs: EmptyPacs, study: LoadedStudy, times: SendTimes) -> None:
    while pacs.count() < len(study.paths):
        await trio.sleep(LOOK_SECONDS)
    times.at_pacs = time.time()


async def _read(
    peer: PeerProcess, study: LoadedStudy, times: SendTimes, *, addressed: bool
) -> None:
    """As somebody in the other hospital who waits for the study.

    Args:
        peer: the hospital's.
        study: what comes.
        times: gets them.
        addressed: it is fetched by itself, and taken up again when the line was away; else
            somebody asks for it here.
    """
    async with PeerClient.connect(peer.folder) as client:
        while not await client.find({"study_instance_uid": study.uid}):
            await trio.sleep(LOOK_SECONDS)
        times.listed = time.time()
        previews = Previews()
        while previews.whole is None:
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(watch, peer.folder, previews)
                    if not addressed:
                        await client.fetch(study.uid)
            except* UnavailableError:  # nobody gave it for a while: the line is cut
                await trio.sleep(AGAIN_SECONDS)
    times.first_preview, times.at_reader = previews.first, previews.whole


# ---------------------------------------------------------------- C-STORE alone


async def _c_store(lab: Lab, folder: Path, study: LoadedStudy, orthanc: OrthancInLab) -> Delivery:
    await quiet(lab)
    place, line = lab.place(SENDER), orthanc.place.wish.line
    command: Command = [*place.prefix, "storescu", "-aec", orthanc.server.aet]
    command += [orthanc.place.address, str(orthanc.server.dicom_port), *study.paths]
    longest = LONGEST * study.size * 8 / (line.uplink if line else 1) + LONGEST_MORE
    begin = time.time()
    await output_of("storescu", command, folder / "storescu.log", seconds=longest)
    end = time.time()
    trace = await lab.traced(end)
    return Delivery(begin, end, round(trace.between("up", begin, end)[SENDER]))
