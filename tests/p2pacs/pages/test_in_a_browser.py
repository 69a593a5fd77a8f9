"""What only a browser tells: that the policy lets through what the pages are made of."""

import pytest
import trio
from playwright.sync_api import BrowserContext, expect

from p2pacs.accounts.one_time import code_at, read_secret_text
from p2pacs.units import Endpoint
from p2pacs.web.serving import serve_web
from scripts.chromium import Chromium
from tests.p2pacs.pages.browser import PASSWORD
from tests.p2pacs.pages.conftest import Site

pytestmark = pytest.mark.chromium


async def test_a_second_factor_is_set_up_and_asked_for(chromium: Chromium, site: Site) -> None:
    where: Endpoint

    def walk(context: BrowserContext) -> list[str]:
        said: list[str] = []
        page = context.new_page()
        page.on("console", lambda one: said.append(one.text))
        page.goto(f"http://{where}/login")
        page.fill("#name", "admin")
        page.fill("#password", PASSWORD)
        page.click("text=Sign in >> nth=-1")
        page.goto(f"http://{where}/account/second-factor")
        drawn = page.locator(".qr svg").bounding_box()
        assert drawn is not None
        assert drawn["width"] == drawn["height"] > 150
        secret = read_secret_text(page.input_value("input[name=secret]"))
        page.fill("#code", code_at(secret, site.step))
        page.fill("#current", PASSWORD)
        page.click("text=Ask for codes")
        codes = page.inner_text("pre").split()
        page.click("text=I have them")
        expect(page.locator("main")).to_contain_text("10 recovery codes are left")
        context.clear_cookies(name="session")
        page.goto(f"http://{where}/login")
        page.fill("#name", "admin")
        page.fill("#password", PASSWORD)
        page.click("text=Sign in >> nth=-1")
        expect(page.locator("#code")).to_be_focused()  # the page comes after the click
        page.fill("#code", codes[0])
        page.click("text=Sign in >> nth=-1")
        page.wait_for_url(f"http://{where}/")
        return said

    stop = trio.Event()
    async with trio.open_nursery() as nursery:

        async def serve(*, task_status: trio.TaskStatus[Endpoint]) -> None:
            here = Endpoint("127.0.0.1", 0)
            await serve_web(site.app(), here, stop=stop, task_status=task_status)

        where = await nursery.start(serve)
        said = await chromium(walk)
        assert [one for one in said if "Security Policy" in one] == []
        stop.set()
