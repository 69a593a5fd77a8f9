"""The composition root: what a whole peer does as a process would, in this process."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from p2pacs.accounts.people import add_account
from p2pacs.errors import ProtocolError, StateError
from p2pacs.ids import VirtualAddress
from p2pacs.wire.messages.messages import CatalogueNews, HoldersNews, Replicate
from peer.api.client import PeerClient
from peer.app import open_peer, run_peer
from peer.commands.get.study import get
from peer.config import PEER_DB, PeerSettings, save_peer_settings
from peer.db import connect
from tests.components import free_port
from tests.p2pacs.pages.browser import PASSWORD, Browser
from tests.peer.commands.get.test_study import Seen
from tests.peer.gateway.dimse.test_gateway import client, query, received
from tests.peer.retrieval.test_study_fetch import LIMIT, by_uid, opened, read_all
from tests.peer.world import World, instances, open_world
from tests.waiting import eventually


def settings_of(world: World, folder: Path, **more: Any) -> PeerSettings:
    said = {"name": "a", "listen": [f"127.0.0.1:{free_port()}"], **more}
    settings = PeerSettings.model_validate({**said, "api": f"127.0.0.1:{free_port()}"})
    save_peer_settings(folder, settings)
    return settings


async def test_the_whole_road(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(3)
        await world.broker.publish(sent)
        folder = world.register("a")
        settings = settings_of(world, folder, dicom="127.0.0.1:0", web={"listen": "127.0.0.1:0"})
        with closing(connect(folder / PEER_DB)) as accounts:
            accounts.transact(lambda c: add_account(c, "rita", PASSWORD, "radiologist"))
        said: list[dict[str, Any]] = []
        stop, ended = trio.Event(), trio.Event()

        async def run() -> None:
            await run_peer(folder, settings, said.append, stop)
            ended.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await eventually(lambda: said)
            assert said[0]["event"] == "ready"
            assert said[0]["api"] == str(settings.api)
            assert said[0]["dicom"] is not None
            async with httpx.AsyncClient(
                base_url=said[0]["web"], trust_env=False, timeout=60
            ) as http:
                with trio.fail_after(LIMIT):
                    assert (await Browser(http).sign_in("rita")).status_code == 303
                    page = await http.get("/", follow_redirects=True)
                    assert "rita" in page.text
            async with PeerClient.connect(folder) as peer:
                with trio.fail_after(LIMIT):
                    while not await peer.find({"patient_name": "GRÜN*"}):
                        await trio.sleep(0.02)
                    outcome = await get(folder, world.broker.uid, tmp_path / "out", Seen())
                    again = await get(folder, world.broker.uid, tmp_path / "again", Seen())
                status = await peer.status()
            assert received(tmp_path / "out") == by_uid(sent)
            assert outcome.json()["sources"] == {"broker": outcome.json()["bytes_received"]}
            assert outcome.json()["bytes_received"] > 0
            assert (again.json()["bytes_received"], again.json()["sources"]) == (0, {})
            assert status["broker"] == {"linked": True, "refused": None}
            assert (status["gateway"]["aet"], said[0]["role"]) == ("P2PACS", "hospital")
            assert status["store"]["used"] > 0
            assert status["catalogue"]["studies"] == 1
            with pytest.raises(StateError, match="already running"):
                async with open_peer(folder, settings):
                    pass
            stop.set()
            with trio.fail_after(LIMIT):
                await ended.wait()


async def test_only_the_broker_may_say_what_the_broker_says(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        peer = await world.add("a")
        stranger = VirtualAddress(b"\xfd" + bytes(15))
        handlers = peer.host.services.news
        study = world.broker.study.raw
        for news in (CatalogueNews(1), HoldersNews(study, []), Replicate(study)):
            with pytest.raises(ProtocolError):
                handlers[type(news)](stranger, news)


async def test_further_holders_are_used(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        world.broker.catalogue.upsert([world.broker.record()])
        one, other = await world.add("one"), await world.add("other")
        fetch = await opened(world, one)
        news = HoldersNews(world.broker.study.raw, [other.identity.address.raw])
        assert world.broker.host.tell(one.identity.address, news)
        await eventually(lambda: other.identity.address in fetch.transfer.holders)


async def test_a_peer_serves_while_it_fetches(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sent = instances(4)
        await world.broker.publish(sent[:2], complete=False)
        one, other = await world.add("one"), await world.add("other")
        first = await opened(world, one)
        await eventually(lambda: len(first.transfer.have) > 0)
        world.broker.holders = [one.identity.address]
        second = await opened(world, other)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_all, first)
            nursery.start_soon(read_all, second)
            await eventually(lambda: one.identity.address in second.transfer.sources)
            await world.broker.publish(sent[2:])
        assert len(second.known) == 4


async def test_a_peer_that_never_joined(tmp_path: Path) -> None:
    settings = PeerSettings.model_validate({"name": "a", "listen": ["127.0.0.1:1"]})
    with pytest.raises(StateError, match="joined"):
        await run_peer(tmp_path, settings, lambda _: None, trio.Event())


async def test_the_gateway_says_who_it_is(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await world.broker.publish(instances(1))
        peer = await world.add("a", dicom="127.0.0.1:0", aet="HOSPA")
        await eventually(lambda: peer.index.by_uid(world.broker.uid) is not None)
        async with peer.gateway() as listens:
            assert listens.plain is not None
            (study,) = await client(listens.plain).find(query("STUDY", PatientID=""))
            assert study.RetrieveAETitle == "HOSPA"


def test_a_peer_without_pages_does_not_carry_them() -> None:
    source = (
        "import sys, peer.app\n"
        "heavy = {'jinja2', 'argon2', 'cattrs', 'sqlalchemy.dialects.postgresql'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or None)"
    )
    subprocess.run([sys.executable, "-c", source], check=True)
