"""A real Orthanc that has lost a file, or that stores what is no proper file: the rest comes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from attrs import frozen

from broker.pacs.adapter import PacsAdapter
from broker.pacs.adapters.opening import open_pacs
from broker.pacs.address import parse_pacs
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.publish.source import Detail, FailedInstance
from p2pacs.units import Endpoint
from tests.broker.publish.bench import bench
from tests.components import HOST, Orthanc, free_port, orthanc

from .instances import make

pytestmark = pytest.mark.orthanc

STUDY = "1.2.826.0.1.8"
SENT = [make(STUDY, 1, n) for n in range(1, 7)]
UIDS = [one.sop_instance_uid for one in SENT]
AET = "P2PACS"


@frozen
class Running:
    orthanc: Orthanc
    folder: Path
    port: int

    def lose(self, instance: str) -> None:
        """Delete the file of an instance, as a failing disk does."""
        info = self.orthanc.get(f"/instances/{instance}/attachments/dicom/info")
        (found,) = (self.folder / "storage").glob(f"*/*/{info['Uuid']}")
        found.unlink()

    def address(self, way: str) -> str:
        return {
            "web": self.orthanc.dicomweb,
            "get": f"{self.orthanc.dimse}?retrieve=get",
            "move": f"{self.orthanc.dimse}?retrieve=move",
            "both": self.orthanc.dimse,
        }[way]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    port, folder = free_port(), tmp_path / "orthanc"
    # Without its cache of files, which hides for a while that one is lost.
    with orthanc(folder, modalities={AET: port}, MaximumStorageCacheSize=0) as started:
        yield Running(started, folder, port)


async def came(pacs: PacsAdapter, detail: Detail) -> tuple[set[str], list[str | None]]:
    """SOP Instance UIDs that came, and those of instances that failed."""
    study = await pacs.describe(STUDY, detail)
    with trio.fail_after(30):
        async with pacs.retrieve(study) as stream:
            taken = [one async for one in stream]
    return (
        {one.sop_instance_uid for one in taken if isinstance(one, EncodedInstance)},
        [one.uid for one in taken if isinstance(one, FailedInstance)],
    )


@pytest.mark.parametrize("way", ["get", "move", "both"])
async def test_a_lost_file_costs_one_instance(running: Running, way: str) -> None:
    ids = running.orthanc.load([one.part10() for one in SENT])
    running.lose(ids[3])
    dicom = None if way == "get" else Endpoint(HOST, running.port)
    async with open_pacs(parse_pacs(running.address(way)), aet=AET, dicom=dicom) as pacs:
        got, failed = await came(pacs, Detail.SERIES)
    assert got == set(UIDS) - {UIDS[3]}
    assert failed == [UIDS[3]]


async def test_a_lost_file_costs_one_instance_by_dicomweb(running: Running) -> None:
    ids = running.orthanc.load([one.part10() for one in SENT])
    async with open_pacs(parse_pacs(running.orthanc.dicomweb), aet=AET, dicom=None) as pacs:
        study = await pacs.describe(STUDY, Detail.UIDS)
        running.lose(ids[3])
        async with pacs.retrieve(study, UIDS[1:]) as stream:
            taken = [one async for one in stream]
    assert [one for one in taken if isinstance(one, EncodedInstance)] == [
        one for one in SENT[1:] if one is not SENT[3]
    ]
    assert [one.uid for one in taken if isinstance(one, FailedInstance)] == [UIDS[3]]


@pytest.mark.parametrize("way", ["web", "get"])
async def test_a_study_with_bare_data_sets_is_published_whole(
    running: Running, way: str, tmp_path: Path
) -> None:
    files = [one.part10() for one in SENT]
    files[2] = SENT[2].data
    files[3] = bytes(128) + b"DICM" + SENT[3].data
    running.orthanc.load(files)
    async with (
        open_pacs(parse_pacs(running.address(way)), aet=AET, dicom=None) as pacs,
        bench(tmp_path, pacs=pacs) as b,
    ):
        progress = await b.publish(STUDY)
        assert progress.left_out == 0
        held = await b.held(STUDY)
        assert set(held) == set(UIDS)
        if way == "web":
            assert held == dict(zip(UIDS, SENT, strict=True))


@pytest.mark.parametrize("way", ["web", "get"])
async def test_what_cannot_be_had_is_told_within_seconds(
    running: Running, way: str, tmp_path: Path
) -> None:
    ids = running.orthanc.load([one.part10() for one in SENT])
    running.lose(ids[3])
    async with (
        open_pacs(parse_pacs(running.address(way)), aet=AET, dicom=None) as pacs,
        bench(tmp_path, pacs=pacs) as b,
    ):
        with trio.fail_after(30):
            progress = await b.publish(STUDY)
        left_out = (await b.index(STUDY)).left_out
        assert set(await b.held(STUDY)) == set(UIDS) - {UIDS[3]}
        assert left_out == progress.missing
        assert left_out.count == 1
        assert left_out.uids == (() if way == "web" else (UIDS[3],))  # its QIDO opens the file
        assert left_out.why
        assert STUDY not in left_out.why
        assert b.roots[-1].complete
