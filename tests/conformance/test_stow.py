"""STOW-RS into a hospital's peer: dicomweb-client, Orthanc, and who means no good; then the whole
road, from a STOW of a real CT and from ``p2pacs send`` to the PACS."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pydicom
import pytest
import trio
from attrs import frozen
from dicomweb_client.api import DICOMwebClient
from requests import HTTPError

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dicomweb.client import DicomwebClient
from p2pacs.dicomweb.server.app import make_dicomweb
from p2pacs.dicomweb.server.requests import ROOT
from p2pacs.units import Endpoint
from p2pacs.web.serving import serve_web
from peer.api.serving import run_api
from peer.commands.send.run import SendOptions, send
from peer.config import PeerSettings, save_peer_settings
from peer.ingest.incoming_files import IncomingFiles
from peer.spool.spool import Spool
from tests.components import free_port, orthanc
from tests.conformance.instances import make
from tests.conformance.test_hospital_sends import LOCAL, by_uid, home, until, world
from tests.p2pacs.dicomweb.server.catalogue import OneStudy
from tests.peer.commands.send.test_run import Watched

UID = "1.2.826.8"
SENT = [make(UID, 1, number) for number in range(1, 6)]


def member() -> None:
    """It is one."""


@frozen
class StowServer:
    """DICOMweb services that store."""

    spool: Spool
    endpoint: Endpoint

    @property
    def root(self) -> str:
        """URL of the services."""
        return f"http://{self.endpoint}{ROOT}"

    def held(self, uid: str = UID) -> list[EncodedInstance]:
        """What was stored of a study."""
        return [self.spool.read(one) for one in self.spool.index.list_instances(uid)]


@asynccontextmanager
async def stow_server(folder: Path) -> AsyncIterator[StowServer]:
    spool = Spool(folder / "spool", reserve=0)
    services = make_dicomweb(
        OneStudy(), allowed=lambda _: True, store=IncomingFiles(spool, "HOSPITAL", member)
    )
    try:
        with trio.fail_after(120):
            async with trio.open_nursery() as nursery:
                serve = partial(serve_web, services, Endpoint(LOCAL, 0), stop=trio.Event())
                yield StowServer(spool, await nursery.start(serve))
                nursery.cancel_scope.cancel()
    finally:
        spool.close()


async def test_dicomweb_client_stores(tmp_path: Path) -> None:
    datasets = []
    for number, one in enumerate(SENT):
        path = tmp_path / str(number)
        path.write_bytes(one.part10())
        datasets.append(pydicom.dcmread(path))
    async with stow_server(tmp_path) as server:
        client = DICOMwebClient(server.root)
        answer = await trio.to_thread.run_sync(client.store_instances, datasets)
        stored = {one.ReferencedSOPInstanceUID for one in answer.ReferencedSOPSequence}
        assert stored == {one.sop_instance_uid for one in SENT}
        assert "FailedSOPSequence" not in answer
        assert by_uid(server.held()) == by_uid(SENT)
        answer = await trio.to_thread.run_sync(client.store_instances, datasets, UID)
        assert len(answer.ReferencedSOPSequence) == len(SENT)
        other = partial(client.store_instances, datasets[:1], "1.2.3")
        with pytest.raises(HTTPError, match="409"):
            await trio.to_thread.run_sync(other)
        large = pydicom.dcmread(tmp_path / "0")
        large.SOPInstanceUID = large.file_meta.MediaStorageSOPInstanceUID = UID + ".9.9"
        large.Rows = large.Columns = 2048
        large.PixelData = bytes(2 * 2048 * 2048)
        answer = await trio.to_thread.run_sync(client.store_instances, [large])
        assert len(answer.ReferencedSOPSequence) == 1
        assert server.held()[-1].data.endswith(bytes(2 * 2048 * 2048))


async def test_our_own_client_stores(tmp_path: Path) -> None:
    async with stow_server(tmp_path) as server, DicomwebClient(server.root) as client:
        await client.store(SENT)
        assert by_uid(server.held()) == by_uid(SENT)


@pytest.mark.orthanc
async def test_orthanc_stores(tmp_path: Path) -> None:
    async with stow_server(tmp_path) as server:

        def run() -> list[EncodedInstance]:
            web = {"Enable": True, "Root": "/dicom-web/", "Servers": {"peer": [f"{server.root}/"]}}
            with orthanc(tmp_path / "orthanc", DicomWeb=web) as archive:
                archive.load([one.part10() for one in SENT])
                body = json.dumps({"Resources": archive.instances(), "Synchronous": True})
                archive.request("POST", "/dicom-web/servers/peer/stow", body.encode())
                files = [archive.file(name) for name in archive.instances()]
                return [EncodedInstance.from_part10(file) for file in files]

        sent = await trio.to_thread.run_sync(run)
        assert len(sent) == len(SENT)
        assert by_uid(server.held()) == by_uid(sent)


# ---------------------------------------------------------------- who means no good

_HEAD = (
    f"POST {ROOT}/studies HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    'Content-Type: multipart/related; type="application/dicom"; boundary=x\r\n'
)
_PART = b"--x\r\nContent-Type: application/dicom\r\n\r\n"


async def said(server: StowServer, *sent: bytes, end: bool = False) -> bytes:
    """What is answered to these bytes."""
    stream = await trio.open_tcp_stream(server.endpoint.host, server.endpoint.port)
    async with stream:
        with suppress(trio.BrokenResourceError):
            for one in sent:
                await stream.send_all(one)
            if end:
                await stream.send_eof()
        answer = b""
        with trio.move_on_after(20), suppress(trio.BrokenResourceError):
            while piece := await stream.receive_some():
                answer += piece
                if b"\r\n\r\n" in answer:
                    break
        return answer


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ([f"{_HEAD}Content-Length: 10\r\n\r\n".encode(), b"--x\r\n\r\n--x"], b"400"),
        ([f"{_HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n".encode()], b"400"),
        ([f"{_HEAD}Content-Length: 0\r\n\r\n".encode()], b"400"),
        (
            [
                f"{_HEAD}Content-Length: {len(_PART) + 7}\r\n\r\n".encode(),
                _PART + b"\r\n--x--",
            ],
            b"409",
        ),
        (
            [
                f"{_HEAD}Content-Length: 40000\r\n\r\n--x\r\n".encode(),
                b"A: b\r\n" * 7000,
            ],
            b"400",
        ),
        ([f"{_HEAD}Origin: http://evil.example\r\nContent-Length: 2\r\n\r\nxx".encode()], b"403"),
        ([_HEAD.replace("127.0.0.1", "evil.example").encode() + b"\r\n"], b"421"),
    ],
    ids=range(7),
)
async def test_bytes_that_are_no_store_request(
    tmp_path: Path, sent: list[bytes], status: bytes
) -> None:
    async with stow_server(tmp_path) as server:
        answer = await said(server, *sent)
        assert answer.split(b" ")[1:2] == [status], answer
        assert not server.spool.index.list_studies()
        async with DicomwebClient(server.root) as client:  # it goes on
            await client.store(SENT[:1])
        assert server.held() == SENT[:1]


async def test_a_client_that_leaves_in_the_middle_leaves_nothing(tmp_path: Path) -> None:
    head = f"{_HEAD}Content-Length: 9000000\r\n\r\n".encode()
    half = SENT[0].part10() + bytes(3_000_000)
    async with stow_server(tmp_path) as server:
        for _ in range(3):
            await said(server, head, _PART, half, end=True)
        files = tmp_path / "spool" / "instances"
        await until(lambda: not list(files.iterdir()))
        assert not server.spool.index.list_studies()


# ---------------------------------------------------------------- the whole road


def real_ct() -> list[EncodedInstance]:
    folder = Path(os.environ["P2PACS_DICOM_DATA"]) / "ct-ge"
    paths = sorted(path for path in folder.iterdir() if path.suffix == ".dcm")
    return [EncodedInstance.from_part10(path.read_bytes()) for path in paths[:8]]


@pytest.mark.data
@pytest.mark.system
async def test_a_real_ct_goes_home_by_stow(tmp_path: Path) -> None:
    sent = real_ct()
    async with world(tmp_path) as w:
        north = await w.join("north", gateway={"dicomweb": f"{LOCAL}:0"})
        where = await w.nursery.start(north.peer.serve_dicomweb)
        async with DicomwebClient(f"http://{where}{ROOT}") as client:
            await client.store(sent)
        await until(lambda: w.pacs.instances == len(sent))
        assert by_uid(await home(tmp_path)) == by_uid(sent)


@pytest.mark.data
@pytest.mark.system
async def test_a_real_ct_goes_home_by_the_command(tmp_path: Path) -> None:
    sent, folder = real_ct(), tmp_path / "files"
    folder.mkdir()
    for number, one in enumerate(sent):
        (folder / f"{number}.dcm").write_bytes(one.part10())
    async with world(tmp_path) as w:
        north = await w.join("north")
        place = {"name": "north", "listen": ["127.0.0.1:1"], "api": f"{LOCAL}:{free_port()}"}
        settings = PeerSettings.model_validate(place)
        save_peer_settings(tmp_path / "north", settings)
        await w.nursery.start(run_api, north.peer.overview, tmp_path / "north", settings.api)
        watched = Watched()
        outcome = await send(tmp_path / "north", [folder], watched, SendOptions(wait=True))
        outcome.check()
        assert outcome.counts["kept"] == len(sent)
        assert watched.states[-1] == "stored"
        assert w.pacs.instances == len(sent)
        assert by_uid(await home(tmp_path)) == by_uid(sent)
