"""The administrator's pages in a real browser: for everybody, on a phone, and live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import axe_playwright_python
import pytest
import trio
from attrs import frozen
from playwright.sync_api import BrowserContext, Page, expect
from sqlalchemy import Connection

from broker.admins.actions import AdminActions
from broker.database.db import now
from broker.members import traffic
from broker.pages.serving import run_pages
from broker.trail import audit
from p2pacs.accounts.people import add_account
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.errors import PacsUnreachableError
from p2pacs.publish import PublishProgress
from p2pacs.publish.progress import PublishStage
from p2pacs.store import StudyInfo
from scripts.chromium import Chromium
from tests.broker.conftest import Ground
from tests.broker.pages.conftest import FewKnown, FewStudies, content_of, settings
from tests.p2pacs.accounts.conftest import CHEAP
from tests.p2pacs.catalogue.samples import study
from tests.p2pacs.pages.browser import PASSWORD

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(300)]

AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
WIDTHS = ((1280, 900), (360, 740))
HOUR = 3600 * 1000
NAMES = ("Hospital North", "Replica South", "Clinic at the End of a Long Road")
RECORDS = [
    study(n, name=f"Doe^Jane^{n}", StudyDescription=("LO", "CT of the chest with contrast"))
    for n in range(1, 31)
]


@frozen
class ServedBroker:
    """Pages that are served."""

    url: str
    studies: FewStudies


@asynccontextmanager
async def served_broker(ground: Ground) -> AsyncIterator[ServedBroker]:
    """A network in which something happened: studies, copies, publications, traffic, an audit."""
    CatalogueIndex(ground.database).upsert(RECORDS)
    members = [(await ground.register(name))[0] for name in NAMES]
    known, studies = FewKnown(), FewStudies()
    one, other, third = (record.study for record in RECORDS[-3:])
    studies.held[one] = [(members[0].address, True), (members[1].address, False)]
    known.held[members[1].address] = [(one, False)]
    studies.store[one] = StudyInfo(one, 2, 9, 123_456_789, 0.0, pinned=False)
    failed = studies.publications[other] = PublishProgress(other, "1.2", instances_wanted=9)
    failed.end(PacsUnreachableError("the PACS does not answer: is it switched on?"))
    running = PublishProgress(third, "1.3", instances_wanted=300, instances_done=75)
    running.stage, running.bytes_read = PublishStage.RETRIEVING, 40_000_000
    studies.publications[third] = running

    def work(connection: Connection) -> None:
        add_account(connection, "admin", PASSWORD, "administrator", CHEAP)
        at = now()
        for hour in range(0, 160, 3):
            when, size = at - hour * HOUR, (1 + hour % 11) * 10**8
            between = {"receiver": members[0].address.raw, "giver": members[1].address.raw}
            traffic.count(connection, when, one, size, **between)
            from_pacs = {"receiver": ground.identity.address.raw, "giver": traffic.PACS}
            traffic.count(connection, when, other, size // 3, **from_pacs)
        entries = [
            audit.Entry("study read", NAMES[0], members[0].address, one, RECORDS[-3].uid,
                        "C-MOVE to WS1 by VIEWER: 300 of 300 instances", time=at - n)
            for n in range(120)
        ]  # fmt: skip
        refused = audit.Entry("study granted", NAMES[2], members[2].address, one, "1.2.3",
                              "C-MOVE", audit.REFUSED)  # fmt: skip
        audit.record(connection, *entries, refused)

    await ground.database.run(work)
    whole = settings(listen="127.0.0.1:0", tls="off")
    actions = AdminActions(ground.authority, ground.identity.address, whole)
    content = content_of(ground, known, studies)
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        run = partial(run_pages, ground.database, actions, whole.web, None, content, stop=stop)
        where = await nursery.start(run)
        yield ServedBroker(f"http://{where}", studies)
        stop.set()


def sign_in(context: BrowserContext, url: str) -> Page:
    page = context.new_page()
    page.goto(f"{url}/login")
    page.fill("#name", "admin")
    page.fill("#password", PASSWORD)
    page.click("main button")
    page.wait_for_url(lambda where: not where.endswith("/login"))
    return page


def violations(page: Page) -> list[str]:
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document)")["violations"]
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found]


PATHS = (
    "/studies",
    f"/studies/{RECORDS[-3].study}",
    f"/studies/{RECORDS[-2].study}",
    "/transfers",
    "/traffic",
    f"/traffic?study={RECORDS[-3].study}&period=month",
    "/audit",
    "/health",
)


async def test_every_page_is_accessible_and_fits_a_phone(
    ground: Ground, chromium: Chromium
) -> None:
    def look(context: BrowserContext) -> None:
        page = sign_in(context, broker.url)
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        for path in PATHS:
            page.goto(broker.url + path)
            page.wait_for_load_state("load")
            assert said == [], path
            assert violations(page) == [], path
            width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert width[0] <= width[1], path

    async with served_broker(ground) as broker:
        for width, height in WIDTHS:
            await chromium(look, viewport={"width": width, "height": height})


async def test_a_publication_goes_on_while_its_page_is_open(
    ground: Ground, chromium: Chromium
) -> None:
    progress = PublishProgress(RECORDS[0].study, "1.2.1", instances_wanted=4)

    def begin(token: trio.lowlevel.TrioToken, context: BrowserContext) -> None:
        page = sign_in(context, broker.url)
        page.goto(f"{broker.url}/transfers")
        running = page.locator(f"[data-topic='transfer-{RECORDS[-1].study}']")
        expect(running.locator("[data-field=amount]")).to_have_text("75 of 300 images")
        trio.from_thread.run_sync(change, trio_token=token)
        expect(running.locator("[data-field=words]")).to_have_text("Published")
        fresh = page.locator(f"[data-topic='transfer-{RECORDS[0].study}']")
        expect(fresh.locator("[data-field=words]")).to_have_text("Waits for its turn")

    def change() -> None:
        broker.studies.publications[RECORDS[-1].study].end(None)
        broker.studies.publications[RECORDS[0].study] = progress

    async with served_broker(ground) as broker:
        await chromium(partial(begin, trio.lowlevel.current_trio_token()))
