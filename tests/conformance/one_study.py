"""One real study at a hospital's peer, with all its doors open to a workstation."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import trio
from attrs import field, frozen

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.identity.dicom_tls import CERTIFICATE, FOLDER, KEY, DicomTls
from p2pacs.settings import DicomTlsSettings
from p2pacs.units import Endpoint
from tests.components import HOST, dcmtk, free_port
from tests.peer.world import open_world
from tests.waiting import eventually

SERIES = "ct-philips-brain-5mm"
SLICES = 8
AET = "P2PACS"
LIMIT = 300.0
"""Seconds: a hanging test must not hang the others."""


@frozen
class Certificates:
    """What a workstation and the gateway show each other: each trusts the other's alone."""

    folder: Path
    gateway: Path
    """The peer's folder."""

    def made(self) -> Certificates:
        """The workstation's own, and a stranger's."""
        for name in ("workstation", "stranger"):
            DicomTls(self.folder / name, DicomTlsSettings(), name, lambda: [HOST]).client()
        return self

    def of(self, name: str, file: str = CERTIFICATE) -> str:
        return str(self.folder / name / FOLDER / file)

    @property
    def gateways(self) -> str:
        return str(self.gateway / FOLDER / CERTIFICATE)

    def dcmtk(self, name: str) -> list[str]:
        return ["+tls", self.of(name, KEY), self.of(name), "+cf", self.gateways]


@frozen
class OneStudy:
    """The study, and where it can be had."""

    uid: str
    series: str
    sent: list[EncodedInstance] = field(repr=False)
    plain: Endpoint
    tls: Endpoint
    web: str
    """Root of the DICOMweb services."""
    ports: tuple[int, int]
    """Of the workstation ORTHANC: DICOM over TLS (a destination), HTTP."""
    storescp: int
    """The port of the destination STORESCP."""
    certificates: Certificates

    @property
    def instances(self) -> list[str]:
        return [one.sop_instance_uid for one in self.sent]

    async def tool(self, name: str, where: Endpoint, *arguments: str) -> CompletedProcess[str]:
        """Run one of DCMTK's tools against one of the gateway's ports."""
        run = partial(dcmtk, name, "-aec", AET, *arguments, where.host, str(where.port))
        return await trio.to_thread.run_sync(run)

    def assert_got(self, got: Iterable[EncodedInstance], of: Collection[str] | None = None) -> None:
        """These are all instances, or those named, and byte for byte what was sent."""
        chosen = [one for one in self.sent if of is None or one.sop_instance_uid in of]
        assert digests(got) == digests(chosen)


def digests(instances: Iterable[EncodedInstance]) -> dict[str, str]:
    return {one.sop_instance_uid: hashlib.sha256(one.data).hexdigest() for one in instances}


def read_files(folder: Path) -> list[EncodedInstance]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [EncodedInstance.from_part10(path.read_bytes()) for path in files]


@asynccontextmanager
async def one_study(data_dir: Path, folder: Path) -> AsyncIterator[OneStudy]:
    """The study is published, and not yet at the hospital."""
    paths = sorted((data_dir / SERIES).iterdir())[:SLICES]
    sent = [EncodedInstance.from_part10(path.read_bytes()) for path in paths]
    certificates = Certificates(folder, folder / "hospital").made()
    ports, storescp = (free_port(), free_port()), free_port()
    settings: dict[str, Any] = {
        "dicom": f"{HOST}:0",
        "gateway": {
            "tls": f"{HOST}:0",
            "dicomweb": f"{HOST}:0",
            "destinations": {
                "ORTHANC": {"address": f"{HOST}:{ports[0]}", "tls": True},
                "STORESCP": f"{HOST}:{storescp}",
            },
        },
        "dicom_tls": {"authorities": certificates.of("workstation"), "clients": "required"},
    }
    with trio.fail_after(LIMIT):
        async with open_world(folder) as world, trio.open_nursery() as nursery:
            world.broker.lists(sent)
            await world.broker.publish(sent)
            peer = await world.add("hospital", **settings)
            await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
            web: Endpoint | None = await nursery.start(peer.serve_dicomweb)
            async with peer.gateway() as listens:
                assert listens.plain is not None
                assert listens.tls is not None
                yield OneStudy(
                    world.broker.uid,
                    world.broker.series[0].uid,
                    sent,
                    listens.plain,
                    listens.tls,
                    f"http://{web}/dicom-web",
                    ports,
                    storescp,
                    certificates,
                )
            nursery.cancel_scope.cancel()
