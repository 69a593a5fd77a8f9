"""Everything that people touch, in the order in which they do, with real processes and a browser:
register a hospital, join it, add accounts, find a study, have it come, look at it, revoke.
"""

from __future__ import annotations

import secrets
import shlex
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import trio
from attrs import field, frozen
from playwright.sync_api import BrowserContext, Page, expect

from broker.registration.join_command import FOLDER, PROGRAM
from scripts import phantom
from scripts.chromium import Chromium, browser_of, own_context
from scripts.loaded import LoadedStudy, load_folder
from scripts.member import PeerProcess
from scripts.network import ADMIN, LineRates, Network, network, set_toml
from scripts.pacs import open_pacs
from scripts.place import LoopbackSite
from scripts.program import P2PACS, free_port, output_of
from scripts.steps import CATALOGUE_SECONDS
from tests.conformance.in_viewer import LIKE, likeness, reference, shown_picture

HOST: Final = "127.2.0.1"
NAME: Final = "North General"
SLICES: Final = 12
SLOW: Final = "100kbit"
"""A line on which the study takes minutes: what comes can be watched, however slow the machine."""
CHIEF: Final = "anna"
"""The hospital's administrator, as the command that the token's page shows calls her."""
RADIOLOGIST: Final = "rita"


def _password() -> str:
    return secrets.token_urlsafe(12)


@frozen
class _Hospital:
    """What is decided before the hospital is there, and what is called as it is then."""

    net: Network
    study: LoadedStudy
    folder: Path
    listen: str = field(factory=lambda: f"{HOST}:{free_port(HOST)}")
    dicom: str = field(factory=lambda: f"{HOST}:{free_port(HOST)}")
    web: str = field(factory=lambda: f"{HOST}:{free_port(HOST)}")
    passwords: dict[str, str] = field(
        factory=lambda: {CHIEF: _password(), RADIOLOGIST: _password()}, repr=False
    )

    @property
    def pages(self) -> str:
        return f"http://{self.web}"

    @property
    def peer(self) -> PeerProcess:
        return self.net.peers[NAME]

    # ------------------------------------------------------------ on its machine, by commands

    async def join(self, join: str, user: str) -> None:
        """What its technician pastes, with the account and the folders of a real machine."""
        place = LoopbackSite().place(HOST)
        port = free_port(HOST)
        peer = PeerProcess(NAME, place, self.folder / "north", "NORTH_GENERAL", 0, port)
        self.net.peers[NAME] = peer
        await self._paste(join, f" --api {HOST}:{port}")
        settings = {"gateway.viewer": f"{HOST}:{free_port(HOST)}"}
        settings["gateway.viewer_files"] = sys.prefix
        set_toml(peer.folder / "peer.toml", settings)
        await self._paste(user, given=self.passwords[CHIEF])
        await peer.start()
        await peer.ready(partial(peer.knows, self.study.uid), CATALOGUE_SECONDS)

    async def _paste(self, command: str, more: str = "", given: str = "") -> None:
        here = command.replace(shlex.join(PROGRAM), shlex.join(map(str, P2PACS)))
        here = here.replace(FOLDER, f"{self.peer.folder}{more}")
        assert here != command
        await output_of(
            "what was pasted", ["sh", "-c", here], self.folder / "join.log", given=given
        )

    async def restart(self) -> None:
        """As ``systemctl restart p2pacs-peer`` does."""
        await self.peer.stop()
        await self.peer.start()


# ---------------------------------------------------------------- people


def _sign_in(page: Page, url: str, name: str, password: str) -> None:
    page.goto(f"{url}/login")
    page.fill("[name=name]", name)
    page.fill("[name=password]", password)
    page.click("main button")
    page.wait_for_url(lambda url: not url.endswith("/login"))


@contextmanager
def _another(context: BrowserContext, url: str, name: str, password: str) -> Iterator[Page]:
    """Somebody at another machine, signed in."""
    with own_context(browser_of(context)) as own:
        page = own.new_page()
        _sign_in(page, url, name, password)
        yield page


def _register(context: BrowserContext, *, hospital: _Hospital) -> tuple[str, str]:
    """The administrator of the network: what is to be pasted to join, and for the first account."""
    page = context.new_page()
    _sign_in(page, hospital.net.web, ADMIN, hospital.net.password.read_text().strip())
    page.goto(f"{hospital.net.web}/members")
    page.click("a[href='/members/new']")
    page.fill("#name", NAME)
    page.check("[name=role][value=hospital]")
    page.fill("#downlink", SLOW)
    page.click("form[action='/members'] button")
    for name in ("listen", "dicom", "web"):
        page.fill(f"#{name}", getattr(hospital, name))
    page.click("form[method=get] button")
    expect(page.locator("#join")).to_contain_text(hospital.web)
    pasted = page.locator("#join").inner_text(), page.locator("#user").inner_text()
    page.click("form[action$='/token/away'] button")
    page.goto(f"{hospital.net.web}/members")
    expect(page.locator("tbody tr", has_text=NAME)).to_contain_text("registered")
    return pasted


Do = Callable[[Callable[[], Awaitable[None]]], None]
"""Does something at the hospital's machine while browsers are open."""


def _work(context: BrowserContext, *, hospital: _Hospital, do: Do) -> None:
    """What the hospital's people do and see."""
    chief_of = (context, hospital.pages, CHIEF, hospital.passwords[CHIEF])
    with _another(*chief_of) as chief:
        _add_account(chief, hospital)
        page = context.new_page()
        _sign_in(page, hospital.pages, RADIOLOGIST, hospital.passwords[RADIOLOGIST])
        study = _find_and_fetch(page, hospital)
        _watch(page, hospital)
        page.goto(study)
        head = page.locator(".head .badge")
        expect(head).to_contain_text("Coming")
        chief.goto(f"{hospital.pages}/settings")
        expect(chief.locator("#downlink")).to_have_value(SLOW)
        chief.fill("#downlink", "100mbit")
        chief.click("main form button")
        expect(chief.locator("[role=status]").first).to_contain_text("Saved")
    do(hospital.restart)
    expect(head).to_have_text("Here")  # by itself: the page connects again
    expect(page.locator("[data-series-count]")).to_contain_text(f"{SLICES} of {SLICES}")
    _view(context, page, hospital)
    page.goto(f"{hospital.pages}/transfers")
    with _another(
        context, hospital.net.web, ADMIN, hospital.net.password.read_text().strip()
    ) as admin:
        _revoke(admin, hospital)
    said = page.locator("[data-topic=trouble] [role=alert]")
    expect(said).to_contain_text("revoked")  # by itself
    page.goto(f"{hospital.pages}/studies")
    expect(page.locator("main")).to_contain_text("revoked")
    expect(page.locator("main")).not_to_contain_text("Phantom")
    page.goto(study)
    expect(page.locator("main")).to_contain_text("revoked")
    expect(page.locator("main img")).to_have_count(0)


def _add_account(chief: Page, hospital: _Hospital) -> None:
    chief.goto(f"{hospital.pages}/users")
    chief.fill("#name", RADIOLOGIST)
    chief.select_option("#role", "radiologist")
    chief.fill("#new", hospital.passwords[RADIOLOGIST])
    chief.fill("#add-current", hospital.passwords[CHIEF])
    chief.click("form[action='/users'] button")
    expect(chief.get_by_role("heading", name=RADIOLOGIST)).to_be_visible()


def _find_and_fetch(page: Page, hospital: _Hospital) -> str:
    """The address of the study's page."""
    page.goto(f"{hospital.pages}/studies")
    page.fill("#name", "phan")
    page.click("[role=search] button")
    row = page.locator("tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("Phantom, Chest")
    row.get_by_role("button").click()
    expect(row.locator(".badge")).to_contain_text("Coming")
    address = row.get_by_role("link").first.get_attribute("href")
    return f"{hospital.pages}{address}"


def _watch(page: Page, hospital: _Hospital) -> None:
    """Progress is seen to go on, from whom, without a reload."""
    page.goto(f"{hospital.pages}/transfers")
    page.evaluate("window.sinceLoaded = true")
    moving = page.locator(".moving")
    expect(moving).to_contain_text("Phantom, Chest")
    amount = moving.locator("[data-field=amount]")
    for _ in range(2):
        expect(amount).not_to_have_text(amount.inner_text())
    expect(moving.locator("[data-field=sources] tr")).to_contain_text(["broker"])
    assert moving.get_attribute("data-state") == "fetching"
    assert page.evaluate("window.sinceLoaded")


def _view(context: BrowserContext, page: Page, hospital: _Hospital) -> None:
    with context.expect_page() as opened:
        page.click("text=Open in the viewer")
    viewer = opened.value
    shown, made = shown_picture(viewer), hospital.folder / "reference.png"
    viewer.close()
    alike = [likeness(shown, reference(one, made, shown.width)) for one in hospital.study.paths]
    assert max(alike) > LIKE, alike


def _revoke(admin: Page, hospital: _Hospital) -> None:
    admin.goto(f"{hospital.net.web}/members")
    row = admin.locator("tbody tr", has_text=NAME)
    expect(row).to_contain_text("linked")
    row.get_by_role("link").first.click()
    form = admin.locator("form[action$='/revoke']")
    admin.locator("details", has=form).locator("summary").click()
    form.get_by_role("button").click()
    expect(admin.locator("h1 .badge")).to_have_text("revoked")


@pytest.mark.chromium
@pytest.mark.viewer
@pytest.mark.dcmtk
@pytest.mark.system
@pytest.mark.timeout(600)
async def test_from_registering_to_revoking(tmp_path: Path, chromium: Chromium) -> None:
    phantom.write(tmp_path / "study", phantom.slices(SLICES))
    study = load_folder(tmp_path / "study")
    token = trio.lowlevel.current_trio_token()
    do: Any = partial(trio.from_thread.run, trio_token=token)
    async with (
        open_pacs("embedded", tmp_path, study) as pacs,
        network(tmp_path, LineRates(None, None), pacs) as net,
    ):
        hospital = _Hospital(net, study, tmp_path)
        join, user = await chromium(partial(_register, hospital=hospital))
        await hospital.join(join, user)
        await chromium(partial(_work, hospital=hospital, do=do))
    said = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert study.uid not in said
    assert not any(secret in said for secret in hospital.passwords.values())
