"""`scripts/bench store`: DCMTK's storescu into a hospital that sends, and into Orthanc, in turn.

Broker, hospital and PACS run while the hospital is stored into, and code and forward in the
background; all share this machine with storescu. While Orthanc is stored into they have nothing to
do. Each time the study has other UIDs, so that nobody knows any of it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
from pathlib import Path
from typing import Final

import pydicom
import trio
from attrs import asdict

from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.limits import MIB
from p2pacs.output.json_object import JsonObject
from scripts import huge
from scripts.loaded import LoadedStudy, load_folder
from scripts.member import PeerProcess
from scripts.network import LineRates, Network, network, set_toml
from scripts.pacs import EmptyPacs, open_empty_pacs, open_orthanc
from scripts.program import Command, ScriptError, output_of
from scripts.steps import LONGEST_SECONDS
from scripts.used_memory import UsedMemory, watched_memory

HELP: Final = "storescu into a hospital that sends, against Orthanc: as fast, < 300 MB of memory"
UNPACED: Final = LineRates(None, None)
MEMORY: Final = 300_000_000
"""Bytes of all processes of the hospital, and of all of the broker."""
IDLE_SECONDS: Final = 300.0
HOSPITAL: Final = "127.1.0.8"
LOOK_SECONDS: Final = 0.2


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the benchmark's arguments."""
    add = parser.add_argument
    add("--dicom", type=Path, metavar="DIR", help="the largest study in it")
    add("--repeats", type=int, default=3, help="into each of both")
    huge.arguments(parser)


async def run(folder: Path, given: argparse.Namespace) -> JsonObject:
    """The figures; ``passed`` if it is as fast as Orthanc within the memory."""
    if given.huge:
        return await huge.run(folder, given)
    if given.dicom is None:
        raise ScriptError("name a folder of DICOM files (--dicom), or a size (--huge)")
    study = await trio.to_thread.run_sync(load_folder, given.dicom)
    ours: list[float] = []
    theirs: list[float] = []
    home: list[float] = []
    async with (
        open_empty_pacs("embedded", folder) as pacs,
        open_orthanc(folder, None) as orthanc,
        network(folder, UNPACED, pacs.address) as net,
    ):
        peer = await _sending_hospital(net)
        opponent = DimseRemote(orthanc.aet, "127.0.0.1", orthanc.dicom_port)
        async with watched_memory(net.programs) as memory:
            for number in range(given.repeats):
                copy = await trio.to_thread.run_sync(_renamed, study, folder, number)
                await _quiet(net)
                begin = trio.current_time()
                ours.append(await _store(peer.gateway, copy, folder))
                await _until_home(pacs, (number + 1) * len(copy))
                home.append(trio.current_time() - begin)
                await _quiet(net)
                theirs.append(await _store(opponent, copy, folder))
    return _figures(study, ours, theirs, home, memory)


def _figures(
    study: LoadedStudy,
    ours: list[float],
    theirs: list[float],
    home: list[float],
    memory: dict[str, UsedMemory],
) -> JsonObject:
    ratio = statistics.median(theirs) / statistics.median(ours)
    return {
        "passed": ratio >= 1 and all(used.together < MEMORY for used in memory.values()),
        "goal": 1.0,
        "ratio": round(ratio, 3),
        "instances": len(study.paths),
        "bytes": study.size,
        "p2pacs_seconds": [round(seconds, 2) for seconds in ours],
        "orthanc_seconds": [round(seconds, 2) for seconds in theirs],
        "home_seconds": [round(seconds, 2) for seconds in home],
        "memory_goal": MEMORY,
        "memory": {name: asdict(used) for name, used in memory.items()},
        "load": round(os.getloadavg()[0], 1),
    }


async def _sending_hospital(net: Network) -> PeerProcess:
    peer = await net.add("hospital", "hospital", HOSPITAL)
    set_toml(peer.folder / "peer.toml", {"sending.enabled": True})
    await peer.start()
    return peer


async def _quiet(net: Network) -> None:
    for program in net.programs:
        await program.idle(IDLE_SECONDS)


async def _store(remote: DimseRemote, paths: list[Path], folder: Path) -> float:
    """Seconds that storescu takes for these files."""
    command: Command = ["storescu", "-aec", remote.aet, remote.host, str(remote.port), *paths]
    begin = trio.current_time()
    await output_of("storescu", command, folder / "storescu.log", seconds=LONGEST_SECONDS)
    return trio.current_time() - begin


async def _until_home(pacs: EmptyPacs, count: int) -> None:
    """Until the PACS has so many instances."""
    with trio.move_on_after(LONGEST_SECONDS):
        while pacs.count() < count:
            await trio.sleep(LOOK_SECONDS)
        return
    raise ScriptError("not all of what was stored came into the PACS")


def _renamed(study: LoadedStudy, folder: Path, number: int) -> list[Path]:
    """The files of the study under other UIDs of the same lengths."""
    target = folder / f"study-{number}"
    target.mkdir()
    paths = []
    for at, path in enumerate(study.paths):
        header = pydicom.dcmread(path, stop_before_pixels=True, defer_size=MIB)
        uids = [
            str(header[name].value)
            for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        ]
        made = target / f"{at:05}.dcm"
        made.write_bytes(_with_uids(path.read_bytes(), uids, number))
        paths.append(made)
    return paths


def _with_uids(file: bytes, uids: list[str], number: int) -> bytes:
    """A file in which other UIDs stand instead of these. Where one is the beginning of another, the
    longer one is replaced first."""
    for uid in sorted(uids, key=len, reverse=True):
        file = file.replace(uid.encode(), _other_uid(uid, number).encode())
    return file


def _other_uid(uid: str, number: int) -> str:
    digits = int.from_bytes(hashlib.sha512(f"{number} {uid}".encode()).digest())
    return f"1.2.3.1{digits}"[: len(uid)]
