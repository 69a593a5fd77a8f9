"""DICOM over TLS, with itself and with DCMTK's tools."""

import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import evolve

from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.association.tuning import DimseTuning
from p2pacs.dimse.client.scu import DimseClient
from p2pacs.errors import PacsUnreachableError
from p2pacs.identity.dicom_tls import CERTIFICATE, FOLDER, KEY, DicomTls
from p2pacs.settings import DicomTlsSettings
from tests.components import HOST, dcmtk, storescp
from tests.p2pacs.dimse.backends import Scripted, serving
from tests.p2pacs.dimse.samples import CT, EXPLICIT, instance, study
from tests.waiting import eventually


class Site:
    """A gateway and a viewer that trust each other's certificates."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("gateway", "viewer", "stranger"):
            self.of(name).client()

    def of(self, name: str, **files: Any) -> DicomTls:
        settings = DicomTlsSettings(**files)
        return DicomTls(self.folder / name, settings, name, lambda: [HOST, "pacs.example"])

    def pem(self, name: str, file: str = CERTIFICATE) -> str:
        return str(self.folder / name / FOLDER / file)

    def gateway(self, **files: Any) -> DicomTls:
        return self.of("gateway", authorities=self.pem("viewer"), **files)

    def remote(self, port: int, *, who: str = "viewer", trusts: str = "gateway") -> DimseRemote:
        context = self.of(who, authorities=self.pem(trusts)).client
        return DimseRemote("GATEWAY", HOST, port, tls=context)

    def tool(self, who: str, trusts: str = "gateway") -> list[str]:
        """DCMTK's options."""
        keys = "+tls", self.pem(who, KEY), self.pem(who)
        return [*keys, "+cf", self.pem(trusts), "-aec", "GATEWAY"]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def run(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return await trio.to_thread.run_sync(dcmtk, tool, *arguments)


async def test_large_instances_go_both_ways(site: Site) -> None:
    backend = Scripted([instance(number, size=3_000_000) for number in range(1, 4)])
    sent = [instance(9, size=5_000_001)]
    async with serving(backend, stores=True, tls=site.gateway().server) as server:
        client = DimseClient(site.remote(server.port), "VIEWER")
        await client.echo()
        assert await client.store(sent) == 1
        async with client.get(study(), classes={CT: [EXPLICIT]}) as inbox:
            got = [one async for one in inbox]
    assert got == backend.held
    assert backend.stored == sent


async def test_a_move_to_a_workstation_that_listens_for_tls(site: Site) -> None:
    backend, viewer = Scripted([instance(1), instance(2)]), Scripted()
    tls = site.of("viewer", authorities=site.pem("gateway"), clients="required")
    async with serving(viewer, stores=True, tls=tls.server) as station:
        secure = site.gateway().client
        there = evolve(site.remote(station.port), aet="VIEWER", tls=secure)
        async with serving(backend, {"VIEWER": there}) as server:
            out = await run("movescu", "-S", "-aec", "GATEWAY", "-aem", "VIEWER", "-k",
                            "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3.1",
                            HOST, str(server.port))  # fmt: skip
    assert out.returncode == 0, out.stdout
    assert viewer.stored == backend.held


@pytest.mark.dcmtk
async def test_dcmtk_talks_with_it(site: Site, tmp_path: Path) -> None:
    one = tmp_path / "one.dcm"
    one.write_bytes(instance(1, size=300_000).part10())
    backend = Scripted()
    backend.answers = [study(number) for number in range(200)]
    async with serving(backend, stores=True, tls=site.gateway().server) as server:
        port = str(server.port)
        out = await run("storescu", *site.tool("viewer"), HOST, port, str(one))
        assert out.returncode == 0, out.stdout
        out = await run("findscu", *site.tool("viewer"), "-S", "-k", "QueryRetrieveLevel=STUDY",
                        "-k", "StudyInstanceUID", HOST, port)  # fmt: skip
        assert out.returncode == 0, out.stdout
        assert out.stdout.count("StudyInstanceUID") >= 200
        out = await run("echoscu", *site.tool("viewer", trusts="viewer"), HOST, port)
        assert out.returncode != 0, "it does not trust the gateway"
        out = await run("echoscu", "-aec", "GATEWAY", HOST, port)
        assert out.returncode != 0, "it speaks no TLS"
    assert [len(one.data) for one in backend.stored] == [len(instance(1, size=300_000).data)]


@pytest.mark.dcmtk
async def test_a_workstation_of_dcmtk_gets_what_is_moved_there(site: Site, tmp_path: Path) -> None:
    backend = Scripted([instance(number, size=200_000) for number in (1, 2)])
    keys = "+tls", site.pem("viewer", KEY), site.pem("viewer"), "+cf", site.pem("gateway")
    with storescp(tmp_path / "got", *keys, "+xa") as viewer:
        there = DimseRemote(viewer.aet, HOST, viewer.port, tls=site.gateway().client)
        async with serving(backend, {viewer.aet: there}) as server:
            out = await run("movescu", "-S", "-aec", "GATEWAY", "-aem", viewer.aet, "-k",
                            "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3.1",
                            HOST, str(server.port))  # fmt: skip
        assert out.returncode == 0, out.stdout
        assert len(viewer.files()) == 2


@pytest.mark.dcmtk
@pytest.mark.parametrize(
    ("clients", "welcome"), [("optional", ["viewer", None]), ("required", ["viewer"])]
)
async def test_who_calls_may_have_to_show_a_certificate(
    site: Site, clients: str, welcome: list[str | None]
) -> None:
    async with serving(Scripted(), tls=site.gateway(clients=clients).server) as server:
        for who in ("viewer", "stranger", None):
            keys = ["+tla", "+cf", site.pem("gateway"), "-aec", "GATEWAY"]
            options = keys if who is None else site.tool(who)
            out = await run("echoscu", *options, HOST, str(server.port))
            assert (out.returncode == 0) == (who in welcome), (who, out.stdout)


async def test_why_there_is_no_connection_is_said(site: Site) -> None:
    required = site.gateway(clients="required").server
    async with (
        serving(Scripted(), tls=required) as server,
        serving(Scripted()) as plain,
    ):
        good = site.remote(server.port)
        mistakes = [
            (evolve(good, tls_name="other.example"), "give that name"),
            (site.remote(server.port, trusts="stranger"), "not trusted .*: check the authorities"),
            (site.remote(server.port, who="stranger"), "check the certificates of both"),
            (site.remote(plain.port), "does not speak TLS there"),
            (evolve(good, tls=site.of("viewer", authorities="missing.pem").client), "cannot read"),
        ]
        for remote, why in mistakes:
            with pytest.raises(PacsUnreachableError, match=why):
                await DimseClient(remote, "VIEWER").echo()
        await DimseClient(evolve(good, tls_name="pacs.example"), "VIEWER").echo()


def is_open(one: socket.socket, seconds: float) -> bool:
    """Whether the other side has not ended a connection after so long."""
    one.settimeout(seconds)
    try:
        return bool(one.recv(100))
    except TimeoutError:
        return True
    except OSError:  # reset, or TLS that was broken off
        return False


QUICK = DimseTuning(negotiate=2.0, farewell=0.3)
"""For strangers; who means it is faster, also on a busy machine."""


async def test_handshakes_that_never_end_are_ended(site: Site) -> None:
    """Half of a ClientHello, a byte now and then, and a whole handshake with nothing after it."""
    hello = ssl.MemoryBIO()
    client = site.of("viewer", authorities=site.pem("gateway")).client()
    half = client.wrap_bio(ssl.MemoryBIO(), hello, server_hostname=HOST)
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    start = hello.read()

    def attack(port: int) -> None:
        silent, dripping, bare = (socket.create_connection((HOST, port)) for _ in range(3))
        silent.sendall(start[:50])
        whole = client.wrap_socket(bare, server_hostname=HOST)
        drops = iter(start)
        while is_open(dripping, 0.02):
            dripping.sendall(bytes([next(drops)]))
        for one in (silent, whole):
            assert not is_open(one, 10)
        for one in (silent, dripping, whole):
            one.close()

    async with serving(Scripted(), tls=site.gateway().server, tuning=QUICK) as server:
        await trio.to_thread.run_sync(attack, server.port)
        listener = server._listener
        await eventually(lambda: not listener.entity._servers[0].active_associations)
        await DimseClient(site.remote(server.port), "VIEWER").echo()


async def test_a_flood_is_bounded_as_at_the_plain_port(site: Site) -> None:
    tuning = DimseTuning(connections=8, connections_per_address=4, kept_connections=2)

    def flood(port: int) -> None:
        held = [socket.create_connection((HOST, port)) for _ in range(10)]
        assert not any(is_open(one, 10) for one in held[4:])
        assert all(is_open(one, 0.01) for one in held[:4])
        for one in held:
            one.close()

    async with serving(Scripted(), tls=site.gateway().server, tuning=tuning) as server:
        await trio.to_thread.run_sync(flood, server.port)
