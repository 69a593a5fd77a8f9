"""The administrator's pages in a real browser: for everybody, on a phone, and live."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from attrs import frozen
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect
from sqlalchemy import Connection

from broker.admins.actions import AdminActions
from broker.database.db import now
from broker.members import traffic
from broker.pages.serving import run_pages
from broker.trail import audit
from p2pacs import limits
from p2pacs.accounts.people import add_account
from p2pacs.catalogue.catalogue_index import CatalogueIndex
from p2pacs.errors import PacsUnreachableError
from p2pacs.languages.choice import ENGLISH, LANGUAGES
from p2pacs.publish import PublishProgress
from p2pacs.publish.progress import PublishStage
from p2pacs.store import StudyInfo
from scripts.chromium import Chromium
from tests.broker.conftest import Ground
from tests.broker.pages.conftest import FewKnown, FewStudies, content_of, settings
from tests.p2pacs.accounts.conftest import CHEAP
from tests.p2pacs.catalogue.samples import study
from tests.p2pacs.pages.accessible import too_wide, troubles
from tests.p2pacs.pages.browser import PASSWORD

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(900)]

HOUR = 3600 * 1000
NAMES = ("Hospital North", "Replica South", "Clinic at the End of a Long Road")
RECORDS = [
    study(n, name=f"Doe^Jane^{n}", StudyDescription=("LO", "CT of the chest with contrast"))
    for n in range(1, 13)
]


@frozen
class ServedBroker:
    """Pages that are served."""

    url: str
    studies: FewStudies
    members: Sequence[str]
    """Virtual addresses, in the order of `NAMES`."""


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
        add_account(connection, "auditor", PASSWORD, "auditor", CHEAP)
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
            for n in range(12)
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
        addresses = [str(member.address) for member in members]
        yield ServedBroker(f"http://{where}", studies, addresses)
        stop.set()


def sign_in(context: BrowserContext, url: str, name: str = "admin") -> Page:
    page = context.new_page()
    page.goto(f"{url}/login")
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.click("main button")
    page.wait_for_url(lambda where: not where.endswith("/login"))
    return page


@frozen
class SentForm:
    """A form that is filled in and sent; what comes then is looked at."""

    page: str
    action: str
    fields: Mapping[str, str] = {}

    def send(self, page: Page, url: str) -> None:
        page.goto(url + self.page)
        form = page.locator(f"form[action='{self.action}']").first
        for name, value in self.fields.items():
            form.locator(f"[name='{name}']").fill(value)
        with page.expect_navigation():
            form.locator("button").last.click()


STUDY = RECORDS[-3].study
SEVERAL = "/members/several"

SEEN = (
    "/members",
    "/members?find=nobody",
    "/members/{member}",
    "/members/{member}/studies",
    "/members/{expired}",
    "/studies",
    f"/studies/{STUDY}",
    f"/studies/{RECORDS[-2].study}",
    "/transfers",
    "/traffic",
    f"/traffic?study={STUDY}&period=month",
    "/access",
    SentForm("/access?member=Hospital+North", "/access/study", {"uid": RECORDS[-3].uid}),
    SentForm("/access", "/access/rule", {"rule": "Modality=CT,MR"}),
    SentForm("/access", "/access/rule", {"rule": "Modality"}),
    "/audit",
    SentForm("/audit", "/audit", {"person": "nobody"}),
    SentForm("/audit", "/audit", {"member": "nobody of that name"}),
    "/health",
    "/settings",
    "/account",
    "/account/second-factor",
    "/nowhere",
)
"""What every role sees."""

CHANGED = (
    "/members/new",
    SentForm("/members/new", "/members", {"name": "North in {language}", "uplink": "fast"}),
    SentForm("/members/new", "/members", {"name": "North in {language}"}),  # its token
    SEVERAL,
    SentForm(SEVERAL, SEVERAL, {"text": "name,role\nA,king\nB,hospital,3,4,5,6"}),
    SentForm(SEVERAL, SEVERAL, {"text": "name,role\nEast in {language},hospital"}),
    f"{SEVERAL}/tokens",
    SentForm("/members/{member}", "/members/{member}/read", {"read": "Modality=;"}),
)
"""What administrators see besides."""


VARIANTS = (
    "/members?find=nobody",
    "/members/{expired}",
    f"/studies/{RECORDS[-2].study}",
    f"/traffic?study={STUDY}&period=month",
    "/access",
    "/audit",
    SEVERAL,
    f"{SEVERAL}/tokens",
    "/members/new",
)
"""Pages whose texts others have, too: looked at once."""


def _distinct(paths: Sequence[str | SentForm]) -> list[str | SentForm]:
    return [one for one in paths if one not in VARIANTS]


async def test_every_page_is_for_everybody_in_all_languages_and_fits_a_phone(
    ground: Ground, chromium: Chromium
) -> None:
    def walk(
        name: str, language: str, paths: Sequence[str | SentForm], context: BrowserContext
    ) -> list[str]:
        found: list[str] = []
        thorough = (name, language) == ("admin", ENGLISH)

        def heard(said: ConsoleMessage) -> None:
            if "the server responded with a status of 4" not in said.text:  # it shall
                found.append(f"{page.url}: {said.text}")

        page = context.new_page()
        page.goto(f"{broker.url}/login")
        found += troubles(page, thorough=thorough)
        page = sign_in(context, broker.url, name)
        page.on("console", heard)
        page.on("pageerror", lambda error: found.append(f"{page.url}: {error}"))
        for path in paths:
            show(page, path, language)
            wrong = troubles(page, thorough=thorough)
            if page.locator("html").get_attribute("lang") != language:
                wrong.append("it is in another language")
            found += [f"{path} ({language}, {name}): {one}" for one in wrong]
        return found

    def show(page: Page, path: str | SentForm, language: str) -> None:
        def filled(text: str) -> str:
            text = text.replace("{language}", language).replace("{member}", broker.members[0])
            return text.replace("{expired}", broker.members[1])

        if isinstance(path, str):
            page.goto(broker.url + filled(path))
            page.wait_for_load_state("load")
            return
        fields = {name: filled(value) for name, value in path.fields.items()}
        SentForm(filled(path.page), filled(path.action), fields).send(page, broker.url)

    async with served_broker(ground) as broker:
        every = (*SEEN, *CHANGED)
        walks = [
            ("admin", language, every if language == ENGLISH else _distinct(every))
            for language in LANGUAGES
        ]
        for name, language, paths in (*walks, ("auditor", ENGLISH, _distinct(SEEN))):
            task = partial(walk, name, language, paths)
            found = await chromium(task, locale=language)
            assert found == [], "\n".join(found)


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


WIDEST_CELL = """Math.max(...[...document.querySelectorAll("td, th")].map(
    one => Math.max(one.offsetWidth, one.scrollWidth)
))"""
"""Pixels, with what stands out of it: a frame hides that, but nobody reads a cell in parts."""


async def test_long_names_are_wrapped_on_a_desk_and_on_the_smallest_phone(
    ground: Ground, chromium: Chromium
) -> None:
    """As long as names may be, and without a place to break them: UIDs are as long, too."""
    name, described = "N" * limits.NAME, "x" * 64
    named = study(1, name=f"{described}^{described}", StudyDescription=("LO", described))

    def look(context: BrowserContext) -> None:
        page = sign_in(context, broker.url)
        for path in ("/members", f"/members/{member}", "/audit", "/studies"):
            page.goto(broker.url + path)
            for width in (1280, 320):
                page.set_viewport_size({"width": width, "height": 740})
                assert too_wide(page) == [], (path, width)
                assert page.evaluate(WIDEST_CELL) <= width, (path, width)
            assert (described if path == "/studies" else name) in page.locator("main").inner_text()

    async with served_broker(ground) as broker:
        member = (await ground.register(name))[0].address
        CatalogueIndex(ground.database).upsert([named])
        actor = audit.Entry("study read", name, member, named.study, described)
        await ground.database.run(lambda connection: audit.record(connection, actor))
        await chromium(look)
