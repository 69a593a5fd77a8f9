"""From a study's page to the viewer, as a browser goes there."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import trio

from peer.accounts.rights import UserRole
from peer.viewer.archive import contents
from peer.viewer.installed import install
from tests.p2pacs.pages.browser import Browser
from tests.peer.pages.served import Served, served
from tests.peer.viewer.archives import archive_of
from tests.waiting import eventually

TICKET = re.compile(r'action="([^"]*)/open".*name="ticket" value="([^"]*)"', re.DOTALL)


@asynccontextmanager
async def _hospital(folder: Path, *, viewer: bool = True) -> AsyncIterator[tuple[Served, str]]:
    install(folder / "shared" / "viewer", contents(archive_of(folder / "a.tgz")))
    gateway = {"viewer_files": str(folder / "shared")}
    if viewer:
        gateway["viewer"] = "127.0.0.1:0"
    async with served(folder, gateway=gateway) as hospital, trio.open_nursery() as nursery:
        where = await nursery.start(hospital.peer.serve_viewer)
        yield hospital, where or ""
        nursery.cancel_scope.cancel()


async def _opened(browser: Browser, hospital: Served) -> httpx.Response:
    return await browser.send("/transfers", f"{hospital.study}/viewer")


async def test_a_study_is_opened_with_the_session_of_the_pages(tmp_path: Path) -> None:
    async with _hospital(tmp_path) as (hospital, origin), hospital.browser() as browser:
        page = await _opened(browser, hospital)
        assert page.status_code == 200
        found = TICKET.search(page.text)
        assert found is not None
        assert found[1] == origin
        assert f"form-action 'self' {origin};" in page.headers["content-security-policy"]
        assert hospital.world.broker.uid not in page.text
        async with httpx.AsyncClient(base_url=origin, trust_env=False, timeout=60) as viewer:
            for path in ("/", "/viewer", "/dicom-web/studies", "/app-config.js"):
                assert (await viewer.get(path)).status_code == 403
            opened = await viewer.post("/open", data={"ticket": found[2]})
            assert opened.status_code == 303
            uid = hospital.world.broker.uid
            assert opened.headers["location"] == f"/viewer?StudyInstanceUIDs={uid}"
            cookie = opened.headers["set-cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=strict" in cookie
            assert (await viewer.get(opened.headers["location"])).status_code == 200
            (study,) = (await viewer.get("/dicom-web/studies")).json()
            assert study["0020000D"]["Value"] == [uid]
            again = await viewer.post("/open", data={"ticket": found[2]})
            assert again.status_code == 403
            assert "open the study again" in again.text
        await eventually(lambda: hospital.peer.reads.fetches)  # before a script asks for anything


async def test_only_who_may_look_gets_a_ticket(tmp_path: Path) -> None:
    async with _hospital(tmp_path) as (hospital, _):
        for role in (UserRole.OPERATOR, UserRole.ADMINISTRATOR):
            async with hospital.browser(role) as browser:
                assert (await _opened(browser, hospital)).status_code == 403


async def test_without_a_viewer_the_page_says_how_to_get_one(tmp_path: Path) -> None:
    async with (
        _hospital(tmp_path, viewer=False) as (hospital, _),
        hospital.browser() as browser,
    ):
        page = await _opened(browser, hospital)
        assert "p2pacs viewer install" in page.text
        assert f'href="{hospital.study}/look"' in page.text
