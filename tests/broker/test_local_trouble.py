"""A full disk or another program's lock under a running broker: refused, served, gone on with."""

import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import httpx
import pytest
import trio
from attrs import frozen
from structlog.testing import capture_logs
from structlog.typing import EventDict

from broker.admins.actions import AdminActions
from broker.app import Broker, open_broker
from broker.config import DATABASE, STORE, BrokerSettings
from broker.members.registry import Registration
from broker.setup import found
from p2pacs.archive.server import Archive, archive
from p2pacs.errors import DatabaseLockedError, DiskFullError
from p2pacs.identity.book import FILE, DirectoryBook
from p2pacs.identity.directory import Role
from p2pacs.identity.node import NodeIdentity
from p2pacs.identity.token import Token
from p2pacs.ids import StudyId
from p2pacs.sql.sqlite import SqliteTuning
from p2pacs.store import open_store
from p2pacs.swarm.node import Line, Node, Services
from p2pacs.units import Endpoint
from p2pacs.wire.enrolment.enrol import enrol
from p2pacs.wire.messages.messages import (
    CataloguePage,
    CatalogueQuery,
    Possession,
    PossessionQuery,
    StudyGrant,
    StudyQuery,
)
from tests.broker.test_app import LOCAL, PASSWORD, _first_study, _sample
from tests.components import free_port
from tests.p2pacs.study import samples
from tests.p2pacs.workers.kept import KeptWorker
from tests.small_disk import small_disk
from tests.waiting import eventually

SHORT = SqliteTuning(try_seconds=0.1, thread_seconds=0.3, task_seconds=0.6)


@frozen
class Net:
    """A broker with one member, and the PACS behind it."""

    broker: Broker
    node: Node
    pacs: Archive
    study: StudyId
    web: str

    async def ask(self) -> StudyGrant:
        query = StudyQuery(0, self.study.raw, "get")
        grant = await self.node.host.call(self.broker.keys.identity.address, query, timeout=30)
        assert isinstance(grant, StudyGrant)
        return grant

    async def catalogue(self) -> CataloguePage:
        page = await self.node.host.call(
            self.broker.keys.identity.address, CatalogueQuery(0, 0), timeout=30
        )
        assert isinstance(page, CataloguePage)
        return page

    async def relink(self) -> None:
        """The link breaks and comes again: both are to be noted."""
        (link,) = self.node.host.mesh.links.values()
        link.close(None)
        with trio.fail_after(20):
            while self.node.host.mesh.links:
                await trio.sleep(0.01)
            while not self.node.host.mesh.links:
                await trio.sleep(0.01)

    async def until_listed(self, count: int) -> None:
        self.broker.catalogue_sync.hint(samples.STUDY_UID)
        with trio.fail_after(30):
            while len((await self.catalogue()).entries) != count:
                await trio.sleep(0.05)


@asynccontextmanager
async def network(
    tmp_path: Path, folder: Path, *, capacity: str | None = None
) -> AsyncIterator[Net]:
    async with archive(tmp_path / "archive", "PACS", Endpoint(LOCAL, 0)) as pacs:
        pacs.folder.put(_sample())
        settings = BrokerSettings.model_validate(
            {
                "pacs": f"dimse://PACS@{LOCAL}:{pacs.port}",
                "listen": [f"{LOCAL}:{free_port()}"],
                "web": {"listen": f"{LOCAL}:0"},
                "store": {"capacity": capacity} if capacity else {},
            }
        )
        found(folder, settings, network="a network", admin="admin", password=PASSWORD)
        (tmp_path / "chunks").mkdir()
        (folder / STORE).symlink_to(tmp_path / "chunks")
        async with (
            open_broker(folder, settings, KeptWorker.start) as broker,
            trio.open_nursery() as nursery,
        ):
            said = await nursery.start(broker.run, trio.Event())
            identity = await _joined(broker, tmp_path / "member")
            book = DirectoryBook(identity.folder / FILE, identity.broker_key)
            async with open_store(tmp_path / "member store") as store:
                node = Node(identity, book, store, Line(), Services(), [])
                await nursery.start(node.run)
                study = await _first_study(node, identity)
                yield Net(broker, node, pacs, study, said["web"])
                nursery.cancel_scope.cancel()


async def _joined(broker: Broker, folder: Path) -> NodeIdentity:
    keys = broker.keys
    actions = AdminActions(keys.authority, keys.identity.address, broker.settings)
    plan = Registration("North", Role.HOSPITAL, None, None, "all")
    _, token = await broker.parts.database.run(lambda c: actions.register(c, plan, "admin"))
    await enrol(Token.decode(token), folder, [])
    return NodeIdentity.load(folder)


@pytest.mark.disk
async def test_a_broker_on_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        async with network(tmp_path, disk.folder / "broker") as net:
            await net.ask()
            await net.broker.publisher.publications[net.study].wait()
            disk.fill()
            # What must be written down is refused, at once: here, that a key was granted.
            with trio.fail_after(20), pytest.raises(DiskFullError, match="free space"):
                await net.ask()
            # What the PACS got cannot be listed yet, nor that the member came and went.
            net.pacs.folder.put(samples.instance(1))
            net.broker.catalogue_sync.hint(samples.STUDY_UID)
            await net.relink()
            # What is only read is served.
            assert len((await net.catalogue()).entries) == 1
            whole = PossessionQuery(0, net.study.raw, 1, b"", b"")
            reply = await net.node.host.call(net.broker.keys.identity.address, whole, timeout=60)
            assert isinstance(reply, Possession)
            assert reply.whole
            # The pages are there; who signs in is told why not.
            async with httpx.AsyncClient(base_url=net.web, trust_env=False, timeout=60) as http:
                page = await http.get("/login")
                assert page.status_code == 200
                csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
                assert csrf is not None
                form = {"csrf": csrf[1], "name": "admin", "password": PASSWORD}
                answer = await http.post("/login", data=form)
                assert answer.status_code == DiskFullError.http_status
                assert "free space" in answer.text
            disk.free()
            # It goes on by itself.
            await net.until_listed(2)
            await net.ask()


async def test_who_asks_a_broker_with_a_full_store_hears_why_at_once(tmp_path: Path) -> None:
    async with network(tmp_path, tmp_path / "broker", capacity="1kB") as net:
        for _ in range(2):
            with (
                trio.fail_after(20),
                pytest.raises(DiskFullError, match=r"the broker cannot publish .*capacity"),
            ):
                await net.ask()
        net.broker.parts.store.writer.capacity = None
        assert (await net.ask()).root


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield


async def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    async with network(tmp_path, folder) as net, trio.open_nursery() as nursery:
        with _locked(folder / DATABASE), capture_logs() as said:
            net.pacs.folder.put(samples.instance(1))
            net.broker.catalogue_sync.hint(samples.STUDY_UID)
            nursery.start_soon(net.ask)
            await eventually(lambda: any("has locked" in one["event"] for one in said), 30)
        await net.until_listed(2)
        await net.ask()


@pytest.mark.disk
@pytest.mark.parametrize("tls", ["off", "on"])
@pytest.mark.parametrize("ran_before", [False, True])
async def test_a_broker_that_is_started_on_a_full_disk_waits(
    tmp_path: Path, tls: str, ran_before: bool
) -> None:
    settings = BrokerSettings.model_validate(
        {
            "pacs": f"dimse://PACS@{LOCAL}:{free_port()}",
            "listen": [f"{LOCAL}:{free_port()}"],
            "web": {"listen": f"{LOCAL}:0", "tls": tls},
        }
    )
    with small_disk(tmp_path / "disk") as disk:
        folder = disk.folder / "broker"
        found(folder, settings, network="a network", admin="admin", password=PASSWORD)
        if ran_before:
            with trio.fail_after(30):
                await _run_once(folder, settings)
        disk.fill()
        with capture_logs() as logs:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_run_once, folder, settings)
                await eventually(lambda: any("waiting until" in one["event"] for one in logs))
                disk.free()
                # It starts by itself, and ends when it has.
        assert any("can be used again" in one["event"] for one in logs)


async def _run_once(folder: Path, settings: BrokerSettings) -> None:
    """Start a broker, and stop it when it runs."""
    async with (
        open_broker(folder, settings, KeptWorker.start) as broker,
        trio.open_nursery() as nursery,
    ):
        await nursery.start(broker.run, trio.Event())
        nursery.cancel_scope.cancel()


async def test_a_lock_that_outlasts_all_patience_ends_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "broker"
    async with network(tmp_path, folder) as net:
        net.broker.parts.database._tuning = SHORT
        with capture_logs() as logs, _locked(folder / DATABASE):
            net.pacs.folder.put(samples.instance(1))
            net.broker.catalogue_sync.hint(samples.STUDY_UID)
            await net.relink()  # which is noted when it can be
            with trio.fail_after(30), pytest.raises(DatabaseLockedError):
                await net.ask()
            await eventually(lambda: _says(logs, "waiting until it can be used"), 30)
        await net.until_listed(2)
        await net.ask()


def _says(logs: list[EventDict], event: str) -> bool:
    return any(one["event"] == event for one in logs)
