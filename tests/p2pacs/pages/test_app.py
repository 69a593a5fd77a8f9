"""What stands before every page."""

import pytest

from p2pacs.settings import WebSettings
from tests.p2pacs.pages.browser import Browser
from tests.p2pacs.pages.conftest import Site


async def test_headers_of_pages_and_errors(admin: Browser) -> None:
    for path, status in (("/", 200), ("/nowhere", 404), ("/static/p2pacs.css", 200)):
        answer = await admin.get(path)
        assert answer.status_code == status
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"
        assert (answer.headers["cache-control"] == "no-store") is (not path.startswith("/static"))


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "site, localhost"])
async def test_a_name_that_is_not_ours_is_not_answered(browser: Browser, host: str) -> None:
    for path in ("/", "/login", "/static/p2pacs.css"):
        answer = await browser.http.get(path, headers={"Host": host})
        assert answer.status_code == 421
        assert "web.hosts" in answer.text


async def test_a_body_that_is_no_form_of_ours(admin: Browser) -> None:
    for length, status in ((1000, 403), (40_000, 413)):
        answer = await admin.http.post(
            "/change",
            content=b"csrf=" + b"x" * length,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert answer.status_code == status


async def test_behind_a_proxy_everybody_has_an_address(site: Site) -> None:
    site.settings = WebSettings.model_validate({"proxies": ["10.0.0.1"]})
    for address, counted in (("10.0.0.1", "203.0.113.9"), ("10.0.0.2", "10.0.0.2")):
        async with site.client(address) as http:
            http.headers["X-Forwarded-For"] = "203.0.113.9"
            assert (await Browser(http).sign_in(password="wrong")).status_code == 401
        assert site.told[-1].source == counted
