"""Which interfaces a peer opens; what they answer is in `test_dimse` and `test_dicomweb`."""

from contextlib import suppress
from pathlib import Path

import trio

from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.client.scu import DimseClient
from p2pacs.dimse.server.receiver import storage_receiver
from p2pacs.errors import StateError
from p2pacs.identity.dicom_tls import CERTIFICATE, FOLDER, DicomTls
from p2pacs.identity.directory import Role
from p2pacs.settings import DicomTlsSettings
from p2pacs.units import Endpoint
from peer.app import Peer
from peer.gateway.serving import DimseEndpoints
from tests.components import free_port
from tests.peer.gateway.dimse.test_gateway import query
from tests.peer.retrieval.test_study_fetch import by_uid
from tests.peer.world import instances, open_world
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


async def test_a_workstation_finds_and_gets_a_study_over_tls_alone(tmp_path: Path) -> None:
    """Both ways with certificates that were made, and that both sides have to show."""
    there = Endpoint("127.0.0.1", free_port())
    files = DicomTlsSettings(authorities=f"../a/{FOLDER}/{CERTIFICATE}", clients="required")
    viewer = DicomTls(tmp_path / "viewer", files, "VIEWER", lambda: ["127.0.0.1"])
    made = tmp_path / "viewer" / FOLDER / CERTIFICATE
    sent = instances(3)
    async with open_world(tmp_path) as world:
        await world.broker.publish(sent)
        peer = await world.add(
            "a",
            gateway={
                "tls": "127.0.0.1:0",
                "destinations": {"VIEWER": {"address": str(there), "tls": True}},
            },
            dicom_tls={"authorities": str(made), "clients": "required"},
        )
        await trio.to_thread.run_sync(make_both, viewer, peer)
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        async with (
            peer.gateway() as listens,
            storage_receiver("VIEWER", there, tls=viewer.server) as receiver,
        ):
            assert listens.plain is None
            assert listens.tls is not None
            remote = DimseRemote("P2PACS", "127.0.0.1", listens.tls.port, tls=viewer.client)
            station = DimseClient(remote, "VIEWER")
            (found,) = await station.find(query("STUDY", PatientName="gr*", StudyInstanceUID=""))
            assert found.StudyInstanceUID == world.broker.uid
            wanted = query("STUDY", StudyInstanceUID=world.broker.uid)
            async with station.move(wanted, receiver) as inbox:
                assert by_uid([one async for one in inbox]) == by_uid(sent)


def make_both(viewer: DicomTls, peer: Peer) -> None:
    """Certificates of both, before one is asked to trust the other."""
    for tls in (viewer, peer.gateway_parts.tls):
        with suppress(StateError):  # the other one's is not there yet
            tls.server()
    viewer.server()
