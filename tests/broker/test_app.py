import html
import re
import shlex
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from attrs import evolve
from pydicom.data import get_testdata_file

from broker.admins.actions import AdminActions
from broker.app import open_broker, run_broker
from broker.commands.status import BrokerStatus, read_status
from broker.config import DATABASE, STORE, BrokerSettings
from broker.database.db import connect, open_database
from broker.database.pacs_state import PacsIs
from broker.members.registry import list_members
from broker.registration.join_command import FOLDER, PROGRAM
from broker.setup import found, load_keys, renew_own
from broker.study_keys import StudyKeys
from p2pacs.archive.server import archive
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.errors import AuthenticationError, RevokedError, StateError
from p2pacs.identity.book import FILE, DirectoryBook
from p2pacs.identity.node import NodeIdentity
from p2pacs.identity.token import Token
from p2pacs.ids import StudyId
from p2pacs.store import open_store
from p2pacs.study.manifest import load_root, sign_root
from p2pacs.swarm.node import Line, Node, Services
from p2pacs.units import Endpoint
from p2pacs.wire.enrolment.enrol import enrol
from p2pacs.wire.messages.messages import CataloguePage, CatalogueQuery, StudyGrant, StudyQuery
from peer.config import load_peer_settings
from tests.components import free_port
from tests.p2pacs.workers.kept import KeptWorker

PASSWORD = "a password of some length"
LOCAL = "127.0.0.1"


def _sample() -> EncodedInstance:
    path = get_testdata_file("CT_small.dcm")
    assert isinstance(path, str)
    return EncodedInstance.from_part10(Path(path).read_bytes())


@pytest.fixture
async def settings(tmp_path: Path) -> AsyncIterator[BrokerSettings]:
    """Of a broker whose PACS is the embedded archive, with one instance in it."""
    async with archive(tmp_path / "archive", "PACS", Endpoint(LOCAL, 0)) as pacs:
        pacs.folder.put(_sample())
        yield BrokerSettings.model_validate(
            {
                "pacs": f"dimse://PACS@{LOCAL}:{pacs.port}",
                "listen": [f"{LOCAL}:{free_port()}"],
                "web": {"listen": f"{LOCAL}:0"},
            }
        )


@pytest.fixture
async def folder(tmp_path: Path, settings: BrokerSettings) -> Path:
    made = tmp_path / "broker"
    found(made, settings, network="a network", admin="admin", password=PASSWORD)
    return made


class Running:
    """A broker in a nursery."""

    def __init__(self, folder: Path, settings: BrokerSettings) -> None:
        self.folder = folder
        self.settings = settings
        self.stop = trio.Event()
        self.said: dict[str, Any] = {}

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        def ready(said: dict[str, Any]) -> None:
            self.said = said
            task_status.started()

        await run_broker(self.folder, self.settings, ready, self.stop)

    @property
    def actions(self) -> AdminActions:
        keys = load_keys(self.folder)
        return AdminActions(keys.authority, keys.identity.address, self.settings)


async def _register_by_form(web: str, verify: ssl.SSLContext | bool = True) -> str:
    """Register a hospital; its token."""
    page, _ = await _token_page(web, verify)
    token = re.search(r'id="token"[^>]*>([^<]+)<', page)
    assert token is not None, page
    return token[1]


async def _token_page(
    web: str, verify: ssl.SSLContext | bool = True, **plan: str
) -> tuple[str, str]:
    """Register a hospital and say what is different at it: the token's page twice, after each."""
    async with httpx.AsyncClient(
        base_url=web, verify=verify, trust_env=False, follow_redirects=True, timeout=60
    ) as http:

        async def send(form: str, action: str, **fields: str) -> httpx.Response:
            csrf = re.search(r'name="csrf" value="([^"]+)"', (await http.get(form)).text)
            assert csrf is not None
            return await http.post(action, data={"csrf": csrf[1], **fields})

        await send("/login", "/login", name="admin", password=PASSWORD)
        page = await send(
            "/members/new", "/members", name="North", role="hospital", uplink="", downlink="",
            read="all",
        )  # fmt: skip
        return page.text, (await http.get(str(page.url), params=plan)).text


async def test_how_the_pacs_is_can_be_seen_while_the_broker_runs_and_afterwards(
    folder: Path, settings: BrokerSettings
) -> None:
    broker = Running(folder, settings)

    def status() -> BrokerStatus:
        address = broker.actions.broker
        return read_status(folder, settings, connect(folder / DATABASE), address)

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            await nursery.start(broker.run)
            while status().pacs.state is PacsIs.UNKNOWN:
                await trio.sleep(0.05)
            seen = status()
            broker.stop.set()
    assert (seen.running, seen.pacs.state, seen.pacs.studies) == (True, PacsIs.ANSWERS, 1)
    after = status()
    assert (after.running, after.pacs.state, after.pacs.studies) == (False, PacsIs.ANSWERS, 1)


async def test_what_the_token_page_shows_can_be_pasted(
    folder: Path, settings: BrokerSettings, tmp_path: Path
) -> None:
    broker = Running(folder, settings)
    port, dicom = free_port(), free_port()
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            await nursery.start(broker.run)
            pages = await _token_page(
                broker.said["web"],
                listen=f"{LOCAL}:{port}",
                dicom=f"{LOCAL}:{dicom}",
                aet="NORTH",
                workstations=f"VIEWER={LOCAL}:104",
            )
            shown = [re.search(r'<pre [^>]*id="join"[^>]*><code>([^<]+)<', page) for page in pages]
            assert shown[0] is not None
            assert shown[1] is not None
            assert "--aet NORTH --dicom 0.0.0.0:11112" in shown[0][1]
            command = html.unescape(shown[1][1])
            program = shlex.join([sys.executable, "-m", "p2pacs"])
            command = command.replace(shlex.join(PROGRAM), program)
            command = command.replace(FOLDER, str(tmp_path / "peer"))
            await trio.run_process(["bash", "-ec", command], capture_stdout=True)
            broker.stop.set()
    member = connect(folder / "broker.db").transact(list_members)[0]
    assert member.joined is not None
    made = load_peer_settings(tmp_path / "peer")
    assert made.name == "North"
    assert (made.aet, made.dicom) == ("NORTH", Endpoint(LOCAL, dicom))
    assert made.listen == (Endpoint(LOCAL, port),)
    assert {name: to.address for name, to in made.gateway.destinations.items()} == {
        "VIEWER": Endpoint(LOCAL, 104)
    }


async def test_from_the_form_to_a_granted_study_and_a_revocation(
    folder: Path, settings: BrokerSettings, tmp_path: Path
) -> None:
    broker = Running(folder, settings)
    home = tmp_path / "north"
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            await nursery.start(broker.run)
            token = Token.decode(await _register_by_form(broker.said["web"]))
            await enrol(token, home, [])
            with pytest.raises(AuthenticationError, match="used already"):
                await enrol(token, tmp_path / "thief", [])
            identity = NodeIdentity.load(home)
            book = DirectoryBook(home / FILE, identity.broker_key)
            unlinked = trio.Event()
            services = Services(unlinked=lambda _: unlinked.set())
            async with open_store(tmp_path / "store") as store, trio.open_nursery() as peers:
                node = Node(identity, book, store, Line(), services, [])
                await peers.start(node.run)
                study = await _first_study(node, identity)
                grant = await node.host.call(
                    identity.broker, StudyQuery(0, study.raw, "get"), timeout=30
                )
                assert isinstance(grant, StudyGrant)
                assert grant.root
                transfer = node.host.engine.downloads.fetch(study, holders=[], root=grant.root)
                await transfer.wait_complete()
                database = connect(folder / "broker.db")
                member = database.transact(list_members)[0]
                assert member.linked
                # As the command line does, in a process of its own.
                database.transact(lambda c: broker.actions.revoke(c, member.address, "test"))
                await unlinked.wait()
                with pytest.raises(RevokedError):
                    await node.host.call(
                        identity.broker, StudyQuery(0, study.raw, "get"), timeout=60
                    )
                peers.cancel_scope.cancel()
            broker.stop.set()
    assert not connect(folder / "broker.db").transact(list_members)[0].linked


async def _first_study(node: Node, identity: NodeIdentity) -> StudyId:
    """The first that is found in the PACS."""
    from p2pacs.catalogue.feed import decode_entry  # noqa: PLC0415

    while True:
        page = await node.host.call(identity.broker, CatalogueQuery(0, 0), timeout=60)
        assert isinstance(page, CataloguePage)
        if page.entries:
            return decode_entry(page.entries[0]).study
        await trio.sleep(0.05)


async def test_one_broker_a_folder_and_a_taken_port(folder: Path, settings: BrokerSettings) -> None:
    broker = Running(folder, settings)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            await nursery.start(broker.run)
            with pytest.raises(StateError, match="already"):
                await run_broker(folder, settings, print, trio.Event())
            broker.stop.set()


async def test_restarting_keeps_the_directory(folder: Path, settings: BrokerSettings) -> None:
    versions = []
    for _ in range(2):
        broker = Running(folder, settings)
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                await nursery.start(broker.run)
                broker.stop.set()
        identity = load_keys(folder).identity
        book = DirectoryBook(identity.folder / FILE, identity.broker_key)
        versions.append(book.directory.version)
    assert versions[0] == versions[1] > 0


async def _cut_off(folder: Path, study: StudyId) -> None:
    """Leave a published study as a broker that was killed in its middle leaves it."""
    keys = load_keys(folder)
    async with open_store(folder / STORE) as store:
        files = await store.study(study)
        assert files.root is not None
        root = load_root(files.root, keys.signing.public, study)
        root = evolve(root, version=root.version + 1, complete=False)
        signed = sign_root(root, keys.signing)
        await files.put_root(signed, version=root.version, segments=root.segments)
        await files.flush()
    async with open_database(folder / DATABASE) as database:
        studies = StudyKeys(database, keys.study_secret, keys.identity.box_key)
        await studies.published(study, root.version, complete=False)


async def test_what_was_cut_off_goes_on_at_the_next_start_though_nobody_asks(
    folder: Path, settings: BrokerSettings
) -> None:
    keys = load_keys(folder)
    async with open_database(folder / DATABASE) as database:
        studies = StudyKeys(database, keys.study_secret, keys.identity.box_key)
        uid = str(get_testdata_file("CT_small.dcm", read=True).StudyInstanceUID)
        study = studies.id_of(uid)

        async def complete() -> bool:
            found = await studies.find(study)
            return found is not None and found.complete

        with trio.fail_after(60):
            async with (
                open_broker(folder, settings, KeptWorker.start) as broker,
                trio.open_nursery() as nursery,
            ):
                await nursery.start(broker.run, trio.Event())
                await broker.publisher.stage(uid).wait()
                nursery.cancel_scope.cancel()
        assert await complete()
        await _cut_off(folder, study)
        assert not await complete()
        with trio.fail_after(60):
            async with (
                open_broker(folder, settings, KeptWorker.start) as broker,
                trio.open_nursery() as nursery,
            ):
                await nursery.start(broker.run, trio.Event())
                while not await complete():
                    await trio.sleep(0.05)
                nursery.cancel_scope.cancel()


async def test_a_version_that_the_catalogue_did_not_hear_of_is_told_at_the_next_start(
    folder: Path, settings: BrokerSettings
) -> None:
    """The broker was killed between the one and the other."""
    uid = str(get_testdata_file("CT_small.dcm", read=True).StudyInstanceUID)
    for is_killed in (True, False):
        with trio.fail_after(60):
            async with (
                open_broker(folder, settings, KeptWorker.start) as broker,
                trio.open_nursery() as nursery,
            ):
                catalogue = broker.parts.catalogue
                await nursery.start(broker.run, trio.Event())
                if is_killed:
                    await broker.publisher.stage(uid).wait()
                while (record := catalogue.by_uid(uid)) is None or not record.version:
                    await trio.sleep(0.05)
                if is_killed:
                    catalogue.upsert([evolve(record, version=0)])
                nursery.cancel_scope.cancel()


async def test_pages_by_https_where_the_settings_say_so(
    folder: Path, settings: BrokerSettings
) -> None:
    secure = settings.model_copy(update={"web": settings.web.model_copy(update={"tls": "on"})})
    broker = Running(folder, secure)
    authority = ssl.create_default_context(cadata=load_keys(folder).authority.certificate)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            await nursery.start(broker.run)
            assert broker.said["web"].startswith("https://")
            assert (await _register_by_form(broker.said["web"], authority)).startswith("p2pacs1-")
            broker.stop.set()


async def test_the_brokers_own_certificate_is_renewed(folder: Path) -> None:
    keys = load_keys(folder)
    renewed = renew_own(keys)
    assert renewed.expires >= keys.identity.expires
    assert evolve(renewed, expires=keys.identity.expires) == keys.identity
