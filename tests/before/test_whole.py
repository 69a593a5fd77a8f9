"""Folders of every version that an upgrade must work from: opened by the programs of today, whole.

Nobody else of their network is there. What they hold must be given as it was, and people find it.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from broker.app import open_broker
from broker.config import STORE, BrokerSettings, load_broker_settings
from p2pacs.dataset.instance import EncodedInstance
from p2pacs.dicomweb.client import DicomwebClient
from p2pacs.store import open_store
from peer.app import Peer, open_peer
from peer.config import PeerSettings, load_peer_settings, save_peer_settings
from peer.pages.content import PagesContent
from peer.pages.serving import PagesParts, run_pages
from tests.before.make import FACTS
from tests.components import HOST, free_port
from tests.p2pacs.pages.browser import Browser
from tests.p2pacs.workers.kept import KeptWorker

HERE = Path(__file__).parent
ARCHIVES = sorted(HERE.glob("folders-of-*.tar.xz"))


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.partition(".")[0])
def folders(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def _facts(folders: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folders / FACTS).read_text())
    return read


@asynccontextmanager
async def _browser(url: str, who: dict[str, str]) -> AsyncIterator[Browser]:
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as http:
        browser = Browser(http)
        assert (await browser.sign_in(who["name"], who["password"])).status_code == 303
        yield browser


@asynccontextmanager
async def _hospital(folder: Path) -> AsyncIterator[tuple[Peer, str, str]]:
    """The hospital of a folder, running: the addresses of its pages and of DICOMweb."""
    before = load_peer_settings(folder).model_dump(mode="json", exclude_unset=True)
    here = {
        "listen": [f"{HOST}:0"],
        "advertise": [],
        "web": {"listen": f"{HOST}:0"},
        "gateway": {"dicomweb": f"{HOST}:0"},
    }
    settings = PeerSettings.model_validate(before | here)
    save_peer_settings(folder, settings)
    async with (
        open_peer(folder, settings, KeptWorker.start) as peer,
        trio.open_nursery() as nursery,
    ):
        await nursery.start(peer.run)
        content = PagesContent(peer.content_parts(folder))
        parts = PagesParts(peer.database, peer.identity.address, blind=False, content=content)
        pages = await nursery.start(partial(run_pages, parts, folder, peer.settings))
        dicomweb = await nursery.start(peer.serve_dicomweb)
        yield peer, pages, f"http://{dicomweb}/dicom-web"
        nursery.cancel_scope.cancel()


async def test_a_hospital_gives_what_it_held(folders: Path) -> None:
    facts = _facts(folders)
    async with _hospital(folders / "hospital-a") as (_, pages, dicomweb):
        async with _browser(pages, facts["user"]) as browser:
            asked = await browser.send("/studies", "/studies", name="grün", span="")
            found = await browser.get(asked.headers["location"])
            assert "Grün" in found.text
        received: dict[str, list[str]] = {}
        async with DicomwebClient(dicomweb) as client, client.retrieve(facts["study"]) as parts:
            async for one in parts:
                assert isinstance(one, EncodedInstance)
                digest = hashlib.sha256(one.data).hexdigest()
                received[one.sop_instance_uid] = [one.transfer_syntax_uid, digest]
    assert received == facts["digests"]


async def test_a_broker_goes_on(folders: Path) -> None:
    facts, folder = _facts(folders), folders / "broker"
    before = load_broker_settings(folder).model_dump(mode="json", exclude_unset=True)
    here = {
        "listen": [f"{HOST}:{free_port(HOST)}"],
        "advertise": [],
        "web": {"listen": f"{HOST}:0"},
        "pacs": "dicomweb+http://127.0.0.1:1/dicom-web",
    }
    settings = BrokerSettings.model_validate(before | here)
    stop = trio.Event()
    async with (
        open_broker(folder, settings, KeptWorker.start) as broker,
        trio.open_nursery() as nursery,
    ):
        said = await nursery.start(broker.run, stop)
        async with _browser(said["web"], facts["admin"]) as browser:
            members = (await browser.http.get("/members")).text
            assert "hospital-a" in members
            assert "replica-1" in members
        assert broker.parts.catalogue.by_uid(facts["study"]) is not None
        stop.set()


async def test_a_replica_holds_what_the_broker_has(folders: Path) -> None:
    async with (
        open_store(folders / "replica-1" / STORE) as copies,
        open_store(folders / "broker" / STORE) as originals,
    ):
        (held,), (original,) = copies.studies(), originals.studies()
        assert held.study == original.study
        copy = await copies.study(held.study)
        assert await copy.verify() == [], "no chunk has changed"
        theirs = await originals.study(held.study)
        assert (copy.root, list(copy.have)) == (theirs.root, list(theirs.have))


def test_there_are_folders_and_they_are_small() -> None:
    assert ARCHIVES, "python -m tests.before.make"
    assert all(archive.stat().st_size < 300_000 for archive in ARCHIVES)
