"""Which interfaces a peer opens; what they answer is in `test_dimse` and `test_dicomweb`."""

from pathlib import Path

import trio

from p2pacs.identity.directory import Role
from peer.gateway.serving import DimseEndpoints
from tests.peer.world import open_world
from tests.waiting import eventually


async def test_a_hospital_opens_what_its_settings_name(tmp_path: Path) -> None:
    gateway = {"dicomweb": "127.0.0.1:0", "tls": "127.0.0.1:0"}
    async with open_world(tmp_path) as world:
        peer = await world.add("a", dicom="127.0.0.1:0", gateway=gateway)
        async with peer.gateway() as dicom, trio.open_nursery() as nursery:
            web = await nursery.start(peer.serve_dicomweb)
            assert dicom.plain is not None
            assert dicom.tls is not None
            assert len({dicom.plain.port, dicom.tls.port, web.port}) == 3
            nursery.cancel_scope.cancel()


async def test_a_hospital_without_settings_opens_none(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await world.add("a")
        async with peer.gateway() as dicom, trio.open_nursery() as nursery:
            assert dicom == DimseEndpoints()
            assert await nursery.start(peer.serve_dicomweb) is None


async def test_a_replica_opens_none(tmp_path: Path) -> None:
    gateway = {"dicomweb": "127.0.0.1:0", "tls": "127.0.0.1:0"}
    async with open_world(tmp_path) as world:
        peer = await world.add("r", Role.REPLICA, dicom="127.0.0.1:0", gateway=gateway)
        await eventually(lambda: peer.blind)
        async with peer.gateway() as dicom, trio.open_nursery() as nursery:
            assert dicom == DimseEndpoints()
            assert await nursery.start(peer.serve_dicomweb) is None
