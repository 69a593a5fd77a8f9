"""The embedded PACS from end to end, with our client, DCMTK and Orthanc."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from p2pacs.archive.server import Archive, archive, run_archive
from p2pacs.dataset.bare import read_instance
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.client.scu import DimseClient
from p2pacs.units import Endpoint
from tests.components import HOST, dcmtk, free_port, orthanc, wait_for_port
from tests.p2pacs.dimse.backends import client
from tests.p2pacs.dimse.samples import identifier, pydicom_files, series

pytestmark = pytest.mark.filterwarnings("ignore")


def scu(pacs: Archive) -> DimseClient:
    return client(pacs.port, called=pacs.aet)


async def everything(pacs: Archive) -> list[EncodedInstance]:
    """All that an archive holds, by C-GET of each study that C-FIND names."""
    found: list[EncodedInstance] = []
    for answer in await scu(pacs).find(identifier(StudyInstanceUID="")):
        uid = answer.StudyInstanceUID
        classes: dict[str, list[str]] = {}
        for record in pacs.folder.records():
            if record.uid == uid:
                for one in (one for part in record.series for one in part.instances):
                    syntaxes = classes.setdefault(one["00080016"]["Value"][0], [])
                    syntaxes.extend(one["00083002"]["Value"])
        wanted = identifier(StudyInstanceUID=uid)
        distinct = {name: sorted(set(syntaxes)) for name, syntaxes in classes.items()}
        async with scu(pacs).get(wanted, classes=distinct) as inbox:
            found += [one async for one in inbox]
    return found


async def test_every_file_of_pydicom_comes_back_byte_for_byte(tmp_path: Path) -> None:
    """All transfer syntaxes, big endian, deflated, odd lengths, no pixel data."""
    sent = [read_instance(file) for file in pydicom_files().values()]
    assert len(sent) > 30
    async with archive(tmp_path, "ARCHIVE", Endpoint(HOST, 0)) as pacs:
        assert await scu(pacs).store(sent) == pacs.instances == len(sent)
        found = await everything(pacs)
    assert sorted(found, key=lambda one: one.sop_instance_uid) == sorted(
        sent, key=lambda one: one.sop_instance_uid
    )


@pytest.mark.data
async def test_real_series_come_back_byte_for_byte(tmp_path: Path) -> None:
    files = sorted(Path(os.environ["P2PACS_DICOM_DATA"]).rglob("*"))
    parts = [path.read_bytes() for path in files if path.is_file() and path.suffix != ".md"]
    sent = {(one := EncodedInstance.from_part10(file)).sop_instance_uid: one for file in parts}
    async with archive(tmp_path, "ARCHIVE", Endpoint(HOST, 0)) as pacs:
        await scu(pacs).store(sent.values())
        found = await everything(pacs)
    assert {one.sop_instance_uid: one for one in found} == sent


@pytest.mark.orthanc
async def test_orthanc_as_a_workstation(tmp_path: Path) -> None:
    sent = series(6, size=40_000)
    with orthanc(tmp_path / "orthanc", aet="WS") as workstation:
        destinations = {"WS": DimseRemote("WS", HOST, workstation.dicom_port)}
        async with archive(tmp_path / "a", "ARCHIVE", Endpoint(HOST, 0), destinations) as pacs:
            await scu(pacs).store(sent)
            keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3.1")
            address = ("-aec", "ARCHIVE", HOST, str(pacs.port))
            done = await trio.to_thread.run_sync(
                lambda: dcmtk("movescu", "-S", "-aem", "WS", *keys, *address)
            )
            assert done.returncode == 0, done.stdout
        files = [workstation.file(name) for name in workstation.instances()]
    stored = [EncodedInstance.from_part10(file) for file in files]
    assert sorted(stored, key=repr) == sorted(sent, key=repr)


@pytest.mark.dcmtk
async def test_dcmtk_stores_finds_and_gets(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for number, one in enumerate(series(3)):
        (tmp_path / "in" / f"{number}.dcm").write_bytes(one.part10())
    async with archive(tmp_path / "a", "ARCHIVE", Endpoint(HOST, 0)) as pacs:
        address = ("-aec", "ARCHIVE", HOST, str(pacs.port))
        study = ("-k", "StudyInstanceUID=1.2.3.1")
        for tool, arguments in [
            ("echoscu", address),
            ("storescu", (*address, "+sd", str(tmp_path / "in"))),
            ("findscu", ("-S", "-k", "QueryRetrieveLevel=SERIES", *study, *address)),
            ("getscu", ("-S", "-k", "QueryRetrieveLevel=STUDY", *study, "-od",
                        str(tmp_path / "out"), "+B", *address)),
        ]:  # fmt: skip
            done = await trio.to_thread.run_sync(dcmtk, tool, *arguments)
            assert done.returncode == 0, done.stdout
        assert pacs.instances == 3
    found = [path.read_bytes() for path in (tmp_path / "out").iterdir()]
    names = [dcmread(DicomBytesIO(file)).PatientName for file in found]
    assert names == ["Doe^Jane 1"] * 3
    received = {EncodedInstance.from_part10(file).data for file in found}
    assert received == {one.data for one in series(3)}


async def test_it_runs_until_cancelled(tmp_path: Path) -> None:
    port = free_port()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_archive, tmp_path, Endpoint(HOST, port), "ARCHIVE", {})
        await trio.to_thread.run_sync(wait_for_port, port)
        await client(port, called="ARCHIVE").echo()
        nursery.cancel_scope.cancel()
