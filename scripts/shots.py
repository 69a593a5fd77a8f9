"""Pictures of the pages for docs/: the demo network with its phantom, as people see it.

Two replicas hold the study; a hospital fetches it over a line on which that takes a while. Look at
each picture before it is kept: nothing here knows whether it is a good one.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import trio
from attrs import frozen
from PIL import Image
from playwright.sync_api import BrowserContext, Page, ViewportSize, expect

from scripts import phantom
from scripts.chromium import browser_of, open_chromium, own_context
from scripts.folder import work_folder
from scripts.loaded import LoadedStudy
from scripts.network import ADMIN, LineRates, Network, network
from scripts.pacs import open_pacs
from scripts.program import ScriptError, leaves
from scripts.showing import PERSON, HospitalPages, open_pages
from scripts.steps import CATALOGUE_SECONDS, fill_replicas, make_study

SLICES: Final = 24
LINES: Final = LineRates("300kbit", "500kbit")
REPLICAS: Final = {"replica-1": "127.1.0.2", "replica-2": "127.1.0.3"}
HOSPITAL: Final = ("north-general", "127.2.0.1")

DESKTOP: Final = ViewportSize(width=1280, height=800)
PHONE: Final = ViewportSize(width=360, height=720)

PATIENCE: Final = 90.0
"""Seconds for images to come."""

LARGEST: Final = 80_000
"""Bytes of a picture: a page of the documentation has several."""


@frozen
class Shots:
    """Where pictures go."""

    folder: Path

    def take(self, page: Page, name: str) -> None:
        """What is seen of a page, as ``NAME.jpg``, as good as `LARGEST` lets it be."""
        shown = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        for quality in range(85, 20, -5):
            out = io.BytesIO()
            shown.save(out, "JPEG", quality=quality, optimize=True, progressive=True)
            if out.tell() < LARGEST:
                break
        (self.folder / f"{name}.jpg").write_bytes(out.getvalue())


def pictures(page: Page, count: int, width: int = 16) -> None:
    """Waits for so many images that are so wide, not counting icons: asked again and again, as the
    pages' policy lets Playwright wait for no function of its own."""
    wide = "width => [...document.querySelectorAll('main img')]"
    wide += ".filter(one => one.naturalWidth >= width).length"
    deadline = time.monotonic() + PATIENCE
    while page.evaluate(wide, width) < count:
        if time.monotonic() > deadline:
            raise ScriptError(f"the images of {page.title()} did not come")
        page.wait_for_timeout(200)


@contextmanager
def signed_in(
    context: BrowserContext, url: str, name: str, password: Path, size: ViewportSize
) -> Iterator[Page]:
    """Somebody's browser on the first page."""
    with own_context(browser_of(context), viewport=size, locale="en") as own:
        page = own.new_page()
        page.goto(f"{url}/login")
        page.fill("[name=name]", name)
        page.fill("[name=password]", password.read_text(encoding="ascii").strip())
        page.click("main button")
        page.wait_for_url(lambda url: not url.endswith("/login"))
        yield page


def of_hospital(context: BrowserContext, *, shots: Shots, at: HospitalPages) -> None:
    """The pages of a hospital, before, while and after a study comes."""
    url = at.pages.rstrip("/")
    desktop = partial(signed_in, context, url, PERSON, at.password, DESKTOP)
    phone = partial(signed_in, context, url, PERSON, at.password, PHONE)
    with desktop() as page, phone() as small:
        page.goto(f"{url}/studies")
        shots.take(page, "pages-studies")
        page.locator("tbody tr").get_by_role("button").click()
        study = page.locator("tbody tr").get_by_role("link").first.get_attribute("href")
        page.goto(f"{url}{study}")
        expect(page.locator(".thumbs img:not([hidden])")).not_to_have_count(0)
        pictures(page, 4)
        small.goto(f"{url}{study}")
        pictures(small, 3)
        shots.take(page, "pages-study")
        shots.take(small, "pages-study-phone")
        page.goto(f"{url}/transfers")
        expect(page.locator("[data-field=sources] tr")).not_to_have_count(0)
        shots.take(page, "pages-transfers")
        page.goto(f"{url}{study}")
        expect(page.locator(".head .badge")).to_have_text("Here")
        page.goto(f"{url}{study}/look?series=1&image={SLICES // 2}")
        pictures(page, 1, 400)
        shots.take(page, "pages-stack")


def of_administrator(context: BrowserContext, *, shots: Shots, net: Network) -> None:
    """The administrator's pages."""
    with signed_in(context, net.web, ADMIN, net.password, DESKTOP) as page:
        for path in ("members", "studies", "traffic?period=day"):
            page.goto(f"{net.web}/{path}")
            shots.take(page, f"admin-{path.partition('?')[0]}")


async def shoot(folder: Path, shots: Shots) -> None:
    """All pictures."""
    study = await make_study(folder, phantom.slices(SLICES))
    async with (
        open_pacs("embedded", folder, study) as pacs,
        network(folder, LINES, pacs) as net,
    ):
        at = await _fill(net, study)
        with open_chromium() as chromium:
            await chromium(partial(of_hospital, shots=shots, at=at))
            await chromium(partial(of_administrator, shots=shots, net=net))


async def _fill(net: Network, study: LoadedStudy) -> HospitalPages:
    for name, host in REPLICAS.items():
        await (await net.add(name, "replica", host)).start()
    await fill_replicas(net, study, list(REPLICAS))
    name, host = HOSPITAL
    at = await open_pages(net, name, host)
    peer = net.peers[name]
    await peer.ready(partial(peer.knows, study.uid), CATALOGUE_SECONDS)
    return at


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/shots", description=(__doc__ or "").strip())
    parser.add_argument("--into", type=Path, default=Path("docs"), help="folder (default: docs)")
    given = parser.parse_args()
    given.into.mkdir(parents=True, exist_ok=True)

    async def run() -> None:
        with work_folder("shots-run", keep=False) as folder:
            await shoot(folder, Shots(given.into))

    failed = 0
    try:
        trio.run(run)
    except* ScriptError as errors:
        failed = 1
        for error in leaves(errors):
            print(error, file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
