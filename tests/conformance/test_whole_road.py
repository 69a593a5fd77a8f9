"""Odd images from a real Orthanc through broker and swarm to a hospital: the same bytes.

Every program is a process of its own, as on real machines.
"""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Final

import pytest
import trio

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import PacsDataError
from p2pacs.study.images import Coding
from scripts.loaded import digest, load_folder
from scripts.network import LineRates, Network, network
from scripts.pacs import open_orthanc
from scripts.precompressed import Compression, compressed
from scripts.program import P2PACS, Command, output_of
from scripts.series import find_series
from scripts.steps import CATALOGUE_SECONDS, hospital, timed_fetch
from tests.components import orthanc
from tests.conformance.instances import make
from tests.conformance.odd import ODD
from tests.conformance.pacs_suite import CT
from tests.conformance.test_exactness import both
from tests.odd import ODD_VALUES

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
    assert await brought(tmp_path, files, coding) == len(CHOSEN)


@both
@pytest.mark.data
@pytest.mark.dcmtk
@pytest.mark.orthanc
@pytest.mark.system
async def test_compressed_images_by_the_whole_road(tmp_path: Path, coding: Coding) -> None:
    (series,) = find_series(Path(os.environ["P2PACS_DICOM_DATA"], "ct-ge"))
    slices = series.instances()
    files = tmp_path / "study"
    files.mkdir()
    for number, how in enumerate(Compression):
        for made in compressed(slices[2 * number : 2 * number + 2], how):
            (files / f"{made.sop_instance_uid}.dcm").write_bytes(made.part10())
    assert await brought(tmp_path, files, coding) == 2 * len(Compression)


async def brought(tmp_path: Path, files: Path, coding: Coding) -> int:
    """How many files came from a PACS to a hospital, all of them as they were."""
    study = load_folder(files)
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
    got = (
        EncodedInstance.from_part10(path.read_bytes()) for path in (tmp_path / "got").rglob("*.dcm")
    )
    assert {one.sop_instance_uid: digest(one) for one in got} == study.digests
    return len(study.paths)


@ODD_VALUES
@pytest.mark.orthanc
@pytest.mark.system
async def test_a_study_of_two_patients_with_odd_uids_by_the_whole_road(tmp_path: Path) -> None:
    """Letters and 70 characters; and two different images under one UID: one of them is missing."""
    uid = "1.2.826.STUDY-" + "7" * 56
    made = [
        make(
            CT,
            series,
            number,
            patient=patient,
            StudyInstanceUID=uid,
            SeriesInstanceUID=f"1.2.SERIES_{series}",
            SOPInstanceUID=sop,
            BodyPartExamined=part,
        )
        for series, number, patient, sop, part in (
            (1, 1, "PA", "1.2.A-1", "HEAD"),
            (1, 2, "PA", "1.2.A-2", "HEAD"),
            (2, 1, "PB", "1.2.B." + "9" * 70, "CHEST"),
            (3, 1, "PB", "1.2.A-1", "CHEST"),
        )
    ]
    with orthanc(tmp_path / "orthanc") as server:
        await trio.to_thread.run_sync(server.load, [one.part10() for one in made])
        async with network(tmp_path, LineRates(None, None), server.dicomweb) as net:
            await _found_and_got(net, tmp_path, uid)
    got = [
        EncodedInstance.from_part10(path.read_bytes()) for path in (tmp_path / "got").rglob("*.dcm")
    ]
    assert {one.sop_instance_uid for one in got} == {one.sop_instance_uid for one in made}
    assert {digest(one) for one in got} <= {digest(one) for one in made}
    assert "7" * 56 not in "".join(net.logs())


async def _found_and_got(net: Network, folder: Path, uid: str) -> None:
    peer = await hospital(net, "hospital", "127.2.0.1")
    await peer.ready(partial(peer.knows, uid), CATALOGUE_SECONDS)
    for patient in ("PA", "PB"):
        command: Command = [*P2PACS, "find", peer.folder, "--patient-id", patient, "--json"]
        said = json.loads(await output_of("p2pacs find", command, folder / "find.log"))
        (found,) = said["studies"]
        assert (found["study_instance_uid"], found["patient_id"]) == (uid, patient)
    command = [*P2PACS, "get", peer.folder, uid, "--out", folder / "got", "--json"]
    done = await trio.run_process(
        [str(part) for part in command], capture_stdout=True, capture_stderr=True, check=False
    )
    assert done.returncode == PacsDataError.exit_code, done.stderr
    assert json.loads(done.stdout)["left_out"] == 1
    assert b"one SOP Instance UID" in done.stderr
