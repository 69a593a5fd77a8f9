"""The hospital's pages in a real browser, with a real CT: what people see and do, live."""

import io
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pydicom
import pytest
import trio
from playwright.sync_api import BrowserContext, Page, Response, expect

from p2pacs.dataset.instance import EncodedInstance
from p2pacs.languages.choice import ENGLISH, LANGUAGES
from p2pacs.swarm.download.transfer import TransferState
from p2pacs.swarm.scheduling.priority import Priority
from peer.accounts.rights import UserRole
from peer.retrieval.sent_here import SentHere
from scripts.chromium import Chromium
from tests.conformance.instances import make
from tests.p2pacs.pages.accessible import WIDTHS, too_wide, troubles, violations
from tests.p2pacs.pages.browser import PASSWORD
from tests.p2pacs.study import samples
from tests.peer.fake_sending import arrived, stored
from tests.peer.pages.served import Served, served
from tests.waiting import eventually

pytestmark = [pytest.mark.chromium, pytest.mark.data, pytest.mark.timeout(300)]

FIRST_LOAD = 200_000
"""Bytes of a page with all that it brings, when nothing of it is in the browser yet."""


def real_ct(folder: Path, count: int) -> list[EncodedInstance]:
    """Slices of a real CT as the one study of the world."""
    found = []
    for path in sorted((folder / "ct-ge").glob("*.dcm"))[:count]:
        dataset = pydicom.dcmread(path)
        dataset.StudyInstanceUID = samples.STUDY_UID
        out = io.BytesIO()
        dataset.save_as(out)
        found.append(EncodedInstance.from_part10(out.getvalue()))
    return found


def sign_in(context: BrowserContext, pages: Served, role: UserRole) -> Page:
    page = context.new_page()
    page.goto(f"{pages.url}/login")
    page.fill("#name", role)
    page.fill("#password", PASSWORD)
    page.click("main button")
    page.wait_for_url(lambda url: not url.endswith("/login"))
    return page


async def send_some(pages: Served) -> int:
    """Studies that are sent from here, in several states, and addressed; the number of one."""
    assert pages.peer.outbound is not None
    await pages.world.add("b")
    index, put = pages.peer.outbound.spool.index, partial(arrived, pages.peer.outbound.spool)
    await trio.to_thread.run_sync(put, [make("1.2.71", name="Kim^Ann")])
    await trio.to_thread.run_sync(stored, pages.peer.outbound.spool, "1.2.71")
    await trio.to_thread.run_sync(put, [make("1.2.72", name="Muster^Hans")])
    index.refuse("1.2.72", "study 3f2a9c11 may not be sent by a: ask the administrator")
    await trio.to_thread.run_sync(put, [make("1.2.73", name="Doe^Jane")])
    index.cancel("1.2.73", "rita")
    number = await trio.to_thread.run_sync(put, [make("1.2.74", name="Roe^Richard")])
    await eventually(lambda: any(one.name == "b" for one in pages.peer.book.directory.members))
    await pages.peer.outbound.desk.address(number, ["b"], Priority.STAT, "rita")
    return number


async def test_a_radiologist_finds_fetches_watches_and_looks(
    tmp_path: Path, chromium: Chromium, data_dir: Path
) -> None:
    sent = real_ct(data_dir, 8)

    def begin(token: trio.lowlevel.TrioToken, context: BrowserContext) -> None:
        page = sign_in(context, pages, UserRole.RADIOLOGIST)
        page.fill("#name", "grün")
        page.get_by_role("button", name="Search", exact=True).click()
        row = page.locator("tbody tr")
        expect(row).to_have_count(1)
        row.get_by_role("button").click()
        expect(row.locator(".badge")).to_have_text("Coming")  # without leaving the list
        assert "search=" in page.url
        row.get_by_role("link").click()
        expect(page.locator("[data-series-count]")).to_have_text("4 of 4 images here")
        expect(page.locator(".thumbs img:not([hidden])")).to_have_count(4)
        trio.from_thread.run(pages.world.broker.publish, sent[4:], trio_token=token)
        expect(page.locator(".head .badge")).to_have_text("Here")  # by itself
        expect(page.locator("[data-series-count]")).to_have_text("8 of 8 images here")
        page.click("text=Look at Series")
        place = page.locator("[data-place]")
        expect(place).to_have_text("Image 4 of 8")
        page.keyboard.press("End")
        expect(place).to_have_text("Image 8 of 8")
        page.select_option("#window", "400,1800")
        # A coarse preview comes first, then the image itself, drawn in this window.
        expect(page.locator("figure img")).to_have_js_property("naturalWidth", 512)
        expect(page.locator("figure img")).to_have_attribute("src", re.compile("^blob:"))

    async with served(tmp_path, sent[:4], complete=False) as pages:
        await chromium(partial(begin, trio.lowlevel.current_trio_token()))
        transfer = pages.peer.host.engine.downloads.transfers[pages.world.broker.study]
        assert transfer.state is TransferState.COMPLETE


async def test_a_study_that_is_done_folds_by_itself(tmp_path: Path, chromium: Chromium) -> None:
    def watch(context: BrowserContext) -> None:
        page = sign_in(context, pages, UserRole.OPERATOR)
        page.goto(f"{pages.url}/sent")
        card = page.locator("[data-topic^=sent-]")
        expect(card.get_by_text("Came from")).to_be_visible()
        stored(spool, "1.2.71")
        expect(card.locator("details > summary").first).to_contain_text("In the PACS")
        expect(card.get_by_text("Came from")).to_be_hidden()
        assert violations(page) == []
        card.locator("summary").first.click()
        expect(card.get_by_text("Came from")).to_be_visible()

    async with served(tmp_path, dicom="127.0.0.1:0", sending={"enabled": True}) as pages:
        assert pages.peer.outbound is not None
        spool = pages.peer.outbound.spool
        put = partial(arrived, spool, [make("1.2.71", name="Kim^Ann")])
        await trio.to_thread.run_sync(put)
        await chromium(watch)


async def send_here(pages: Served, priority: Priority = Priority.STAT) -> None:
    """The study is addressed to this hospital, by the broker's administrator."""
    sender = next(iter(pages.peer.book.directory.brokers))
    one = SentHere(pages.world.broker.study, sender, priority, 1_700_000_000_000)
    await pages.peer.sent_here.note(one)


async def test_what_is_sent_here_is_noticed_wherever_somebody_is(
    tmp_path: Path, chromium: Chromium, data_dir: Path
) -> None:
    def notice(token: trio.lowlevel.TrioToken, context: BrowserContext) -> None:
        page = sign_in(context, pages, UserRole.RADIOLOGIST)
        page.goto(f"{pages.url}/network")
        told = page.locator("[data-topic=received] a")
        expect(told).to_be_hidden()
        trio.from_thread.run(send_here, pages, trio_token=token)
        expect(told).to_have_text("1 new study was sent to this hospital; STAT: 1")  # by itself
        assert violations(page) == []
        told.click()
        row = page.locator("tbody tr")
        expect(row).to_have_count(1)
        expect(row.locator(".sender")).to_contain_text("Sent by")
        expect(row.locator(".badge.new")).to_be_visible()
        expect(row.locator(".badge.stat")).to_be_visible()
        page.fill("#name", "nobody")
        page.get_by_role("button", name="Search", exact=True).click()
        expect(row).to_have_count(0)
        way = page.get_by_role("link", name="Sent to this hospital", exact=True)
        expect(way).to_have_attribute("aria-current", "page")
        page.get_by_role("link", name="Show all").click()
        row.get_by_role("button").click()
        expect(row.locator("[data-field=badge]")).to_have_text("Here")
        expect(told).to_be_hidden()  # who fetched it knows of it
        row.get_by_role("link").first.click()
        expect(page.locator(".note.warn strong")).to_have_text("STAT.")
        page.goto(f"{pages.url}/transfers")
        expect(page.locator(".moving .sender")).to_contain_text("Sent by")

    async with served(tmp_path, real_ct(data_dir, 3)) as pages:
        await chromium(partial(notice, trio.lowlevel.current_trio_token()))


async def test_every_page_is_accessible_small_and_fits_a_phone(
    tmp_path: Path, chromium: Chromium, data_dir: Path
) -> None:
    def look(path: str, role: UserRole, context: BrowserContext) -> None:
        page = sign_in(context, pages, role)
        said: list[str] = []
        sizes: list[int] = []

        def came(response: Response) -> None:
            sizes.append(int(response.headers.get("content-length", "0")))

        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("response", came)
        page.goto(pages.url + path)
        page.wait_for_load_state("load")
        assert said == [], path
        assert violations(page) == [], path
        assert too_wide(page) == [], path
        assert sum(sizes) < FIRST_LOAD, path

    paths = [
        (path, UserRole.RADIOLOGIST)
        for path in ("/studies", "/studies?sent=yes", "/transfers", "/sent", "/network")
    ]
    paths.append(("/settings", UserRole.ADMINISTRATOR))
    sends = {"enabled": True}
    async with served(tmp_path, real_ct(data_dir, 3), dicom="127.0.0.1:0", sending=sends) as pages:
        await send_here(pages)
        number = await send_some(pages)
        paths.append((f"/sent/{number}/address", UserRole.OPERATOR))
        study = pages.study
        for step in ("elsewhere", "here"):
            of_study = [(study, UserRole.RADIOLOGIST)]
            if step == "here":
                async with pages.browser() as browser:
                    await browser.send(study, f"{study}/fetch")
                transfer = pages.peer.host.engine.downloads.transfers[pages.world.broker.study]
                await transfer.wait_complete()
                of_study += [(f"{study}/look?series=1", UserRole.RADIOLOGIST), *paths]
            for path, role in of_study:
                for width, height in WIDTHS:
                    size = {"width": width, "height": height}
                    await chromium(partial(look, path, role), viewport=size)


async def test_other_languages_fit_a_phone_and_are_accessible_in_the_dark(
    tmp_path: Path, chromium: Chromium
) -> None:
    """Words are longer in some, and the colours are others at night."""
    languages = sorted(set(LANGUAGES) - {ENGLISH})

    def look(role: UserRole, paths: Sequence[str], context: BrowserContext) -> None:
        page = context.new_page()
        page.goto(f"{pages.url}/login?language={languages[0]}")
        check(page, "/login", languages[0])
        page.fill("#name", role)
        page.fill("#password", PASSWORD)
        page.click("main button")
        page.wait_for_url(lambda url: "/login" not in url)
        (cookie,) = (one for one in context.cookies() if one["name"].startswith("language"))
        for language in languages:
            kept = {"name": cookie["name"], "value": language, "url": pages.url}
            context.add_cookies([kept])
            for path in paths:
                page.goto(pages.url + path)
                check(page, path, language)

    def check(page: Page, path: str, language: str) -> None:
        assert page.locator("html").get_attribute("lang") == language, path
        assert troubles(page, thorough=language == languages[0]) == [], (path, language)

    async with served(tmp_path, dicom="127.0.0.1:0", sending={"enabled": True}) as pages:
        await send_here(pages)
        sent = ["/sent", f"/sent/{await send_some(pages)}/address"]
        async with pages.browser() as browser:
            await browser.send(pages.study, f"{pages.study}/fetch")
        transfer = pages.peer.host.engine.downloads.transfers[pages.world.broker.study]
        await transfer.wait_complete()
        for role, paths in (
            (
                UserRole.RADIOLOGIST,
                ["/studies?sent=yes", pages.study, f"{pages.study}/look?series=1"],
            ),
            (
                UserRole.OPERATOR,
                [*sent, "/transfers", "/network", "/account", "/account/second-factor"],
            ),
            (UserRole.ADMINISTRATOR, ["/settings", "/users", "/nowhere"]),
        ):
            await chromium(partial(look, role, paths), color_scheme="dark")
