"""`scripts/bench publish`: from a real Orthanc into a broker's store, by DICOMweb and by C-GET.

The broker's part runs in a process of its own with its workers, as in a broker. All of it and
Orthanc share this machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

import trio

from p2pacs.output.json_object import JsonObject
from p2pacs.study.images import Coding
from scripts import phantom
from scripts.loaded import LoadedStudy, load_folder
from scripts.pacs import open_orthanc
from scripts.program import ScriptError, output_of
from scripts.steps import LONGEST_SECONDS, make_study
from scripts.turned import turned

HELP: Final = "Orthanc to published: at least 40 MB/s of data sets, in less than 400 MB of memory"
GOAL: Final = 40
"""Millions of bytes of data sets a second."""

MEMORY: Final = 400_000_000
"""Bytes of all processes together."""

SLICES: Final = 400


def arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the benchmark's arguments."""
    add = parser.add_argument
    add("--slices", type=int, help=f"of 0.5 MB each, made up ({SLICES} unless told)")
    add(
        "--dicom",
        type=Path,
        metavar="DIR",
        help="the largest study in it, and with --slices so "
        "many of its slices, turned and mirrored",
    )
    add("--coding", type=Coding, choices=list(Coding), default=Coding.SMALLEST, help="of images")


async def run(folder: Path, given: argparse.Namespace) -> JsonObject:
    """The figures; ``passed`` if both ways reach the goals."""
    study = await _study(folder, given)
    ways: JsonObject = {}
    async with open_orthanc(folder, study) as orthanc:
        for name, address in (("dicomweb", orthanc.dicomweb), ("c-get", orthanc.dimse)):
            command = [sys.executable, "-m", "scripts.publish_rate", address, given.coding]
            printed = await output_of(name, command, folder / f"{name}.log", LONGEST_SECONDS)
            ways[name] = measured = json.loads(printed)
            if measured["instances"] != len(study.paths):
                raise ScriptError(f"not all {len(study.paths)} instances came by {name}")
    return {
        "goal": GOAL,
        "passed": all(
            way["mb_per_second"] >= GOAL and way["peak_bytes"] < MEMORY for way in ways.values()
        ),
        "bytes": study.size,
        "ratio": round(study.size / ways["dicomweb"]["stored"], 2),
        "megabytes_per_second": {name: way["mb_per_second"] for name, way in ways.items()},
        "peak_megabytes": {name: round(way["peak_bytes"] / 1e6) for name, way in ways.items()},
        "cpu_seconds": {
            name: {
                "broker": round(way["cpu_seconds"], 2),
                "workers": round(way["worker_cpu_seconds"], 2),
            }
            for name, way in ways.items()
        },
    }


async def _study(folder: Path, given: argparse.Namespace) -> LoadedStudy:
    if given.dicom is None:
        return await make_study(folder, phantom.slices(given.slices or SLICES))
    study = await trio.to_thread.run_sync(load_folder, given.dicom)
    if given.slices is None:
        return study
    return await make_study(folder, turned(list(study.instances()), given.slices))
