import re
from functools import partial
from pathlib import Path

import trio

from peer.accounts.rights import UserRole
from tests.conformance.instances import make
from tests.p2pacs.pages.browser import Browser
from tests.peer.fake_sending import arrived
from tests.peer.pages.served import served
from tests.waiting import eventually


async def test_who_is_there_and_what_is_stored(tmp_path: Path) -> None:
    async with served(tmp_path, store={"capacity": "1GB"}) as pages, pages.browser() as browser:
        await eventually(lambda: pages.peer.host.mesh.links)
        page = await browser.get("/network")
        assert page.status_code == 200
        shown = " ".join(re.sub("<[^>]*>", " ", page.text).split())
        assert "broker" in shown
        assert "of 1.0 GB" in shown
        assert "How the others reach a Is dialled by the others at its endpoints." in shown
        assert "Grün" not in page.text


async def test_what_waits_to_be_sent_is_told_besides(tmp_path: Path) -> None:
    sends = {"enabled": True}
    async with (
        served(tmp_path, dicom="127.0.0.1:0", sending=sends) as pages,
        pages.browser() as browser,
    ):
        assert "until they are sent" not in (await browser.get("/network")).text
        assert pages.peer.outbound is not None
        put = partial(arrived, pages.peer.outbound.spool, [make("1.2.71")])
        await trio.to_thread.run_sync(put)
        assert "lie here until they are sent" in (await browser.get("/network")).text


async def test_everybody_who_is_signed_in_sees_it_and_nobody_else(tmp_path: Path) -> None:
    async with served(tmp_path) as pages:
        for role in UserRole:
            async with pages.browser(role) as browser:
                assert (await browser.get("/network")).status_code == 200
                await _signed_out(browser)


async def _signed_out(browser: Browser) -> None:
    await browser.send("/network", "/logout")
    assert (await browser.get("/network")).headers["location"] == "/login"
