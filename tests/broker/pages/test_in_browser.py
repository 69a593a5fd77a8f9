"""The administrator's pages in a real browser: they are accessible, and fit a phone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import axe_playwright_python
import pytest
import trio
from playwright.sync_api import BrowserContext, Page
from sqlalchemy import Connection

from broker.database.db import now
from broker.members import presence, registry
from broker.members.admin_actions import AdminActions
from broker.pages.content import AdminContent
from broker.pages.serving import run_pages
from p2pacs.accounts.people import add_account
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.identity.directory import Role
from p2pacs.units import Endpoint
from scripts.chromium import Chromium
from tests.broker.conftest import Ground
from tests.broker.members.test_access import CT, OLD
from tests.broker.pages.conftest import PASSWORD, FewKnown, content_of, settings
from tests.p2pacs.accounts.conftest import CHEAP

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(600)]

AXE = Path(axe_playwright_python.__file__).parent / "axe.min.js"
WIDTHS = ((1280, 900), (360, 740))

SHEET = "name,role,uplink,downlink,read\nEast,hospital,800kbit,3mbit,Modality=CT\nR2,replica,,,\n"
WRONG = "name,role\nWest,hospital\nNorth General,king\n"


async def hospital(ground: Ground, known: FewKnown) -> registry.Member:
    """A linked one that holds studies, among some that are not."""
    await ground.register("South Clinic", read="Modality=CT,MR; InstitutionName=North*")
    replica, _ = await ground.register("Replica 1", role=Role.REPLICA, read="none")
    await ground.database.run(lambda c: registry.revoke(c, replica.address))
    member, _ = await ground.register("North General")

    def join(connection: Connection) -> None:
        registry.join(
            connection,
            member.address,
            key_hash=b"k" * 32,
            box_key=b"b" * 32,
            endpoints=["192.0.2.1:4711"],
            certificate_expires=now() + 10**10,
        )
        presence.seen(connection, ground.identity.address, member.address, linked=True)

    await ground.database.run(join)
    known.programs[member.address] = "p2pacs/0.2.0"
    known.held[member.address] = [(CT.study, True), (OLD.study, False)]
    return member


@asynccontextmanager
async def served(ground: Ground, content: AdminContent) -> AsyncIterator[str]:
    """The pages on a port of their own; their address."""
    await ground.database.run(lambda c: add_account(c, "admin", PASSWORD, "administrator", CHEAP))
    whole = settings(listen="127.0.0.1:0", tls="off")
    actions = AdminActions(ground.authority, ground.identity.address, whole)
    stop = trio.Event()
    async with trio.open_nursery() as nursery:
        run = partial(run_pages, ground.database, actions, whole.web, None, content, stop=stop)
        where: Endpoint = await nursery.start(run)
        yield f"http://{where}"
        stop.set()


def sign_in(context: BrowserContext, url: str) -> Page:
    page = context.new_page()
    page.goto(f"{url}/login")
    page.fill("#name", "admin")
    page.fill("#password", PASSWORD)
    page.click("main button")
    page.wait_for_url("**/members")
    return page


def check(page: Page, what: str) -> None:
    """Nothing that axe finds, and nothing wider than the screen."""
    page.wait_for_load_state("load")
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document)")["violations"]
    said = [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in found]
    assert said == [], what
    width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1], what


async def test_every_page_is_accessible_and_fits_a_phone(
    ground: Ground, chromium: Chromium
) -> None:
    known = FewKnown()
    member = await hospital(ground, known)
    CatalogueIndex(ground.database).upsert([CT, OLD])
    one = f"/members/{member.address}"

    def walk(number: int, context: BrowserContext) -> None:
        page = sign_in(context, url)

        def come(what: str) -> None:
            check(page, f"{what} at {WIDTHS[number][0]}")

        for path in ("/members", one, f"{one}/studies", "/members/new", "/settings"):
            page.goto(url + path)
            come(path)
        page.goto(f"{url}/access?member={member.address}")
        page.fill("#uid", CT.uid)
        page.click("text=May it read this study?")
        come("a study that was tried")
        page.fill("#rule", "Modality=CT")
        page.click("text=How many studies")
        come("a rule that was tried")
        page.goto(f"{url}/members/several")
        come("several")
        page.fill("#text", WRONG)
        page.click("text=Look through it")
        come("a preview with mistakes")
        page.fill("#text", SHEET.replace("East", f"East {number}").replace("R2", f"R{number + 2}"))
        page.click("text=Look through it again")
        come("a preview")
        page.click("main button")
        page.wait_for_url("**/tokens")
        come("tokens")

    async with served(ground, content_of(ground, known)) as url:
        for number, (width, height) in enumerate(WIDTHS):
            size = {"width": width, "height": height}
            await chromium(partial(walk, number), viewport=size)
