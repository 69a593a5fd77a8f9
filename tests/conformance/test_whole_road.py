"""Odd images from a real Orthanc through broker and swarm to a hospital: the same bytes.

Every program is a process of its own, as on real machines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.study.images import Coding
from scripts.loaded import digest, load_folder
from scripts.network import LineRates, network
from scripts.pacs import open_orthanc
from scripts.program import P2PACS, output_of
from scripts.steps import hospital, timed_fetch
from tests.conformance.odd import ODD
from tests.conformance.test_exactness import both

CHOSEN: Final = (
    "12 of 16 bits",
    "high bits hold an overlay",
    "signed, all 16 bits",
    "8 bits, signed",
    "implicit",
    "big endian",
    "larger",
    "small",
    "elements behind the pixels",
    "RGB",
    "RGB in planes",
    "five frames, each brighter",
    "a frame of noise between two",
    "noise of 16 bits",
    "one bit",
    "32 bits",
    "float",
    "too short by half",
    "more rows than there are",
    "run lengths",
)


@both
@pytest.mark.orthanc
@pytest.mark.system
async def test_odd_images_by_the_whole_road(tmp_path: Path, coding: Coding) -> None:
    files = tmp_path / "study"
    files.mkdir()
    for number, name in enumerate(CHOSEN):
        (files / f"{number}.dcm").write_bytes(ODD[name].part10())
    study = load_folder(files)
    assert len(study.paths) == len(CHOSEN)
    async with (
        open_orthanc(tmp_path, study) as server,
        network(
            tmp_path, LineRates(None, None), server.dicomweb, settings={"coding": str(coding)}
        ) as net,
    ):
        peer = await hospital(net, "hospital", "127.2.0.1")
        await timed_fetch(peer, study)
        command = [*P2PACS, "get", peer.folder, study.uid, "--out", tmp_path / "got"]
        await output_of("p2pacs get", command, tmp_path / "get.log")
    got = (EncodedInstance.from_part10(path.read_bytes()) for path in (tmp_path / "got").iterdir())
    assert {one.sop_instance_uid: digest(one) for one in got} == study.digests
