"""What strangers and administrators may try on the broker's pages."""

from __future__ import annotations

import httpx
import pytest

from tests.broker.pages.conftest import Browser
from tests.p2pacs.pages.browser import csrf_of
from tests.p2pacs.web.monkey import SCRIPT, Monkey


@pytest.mark.timeout(300)
async def test_nothing_that_is_sent_is_taken_for_what_it_is_not(
    admin: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    made = await admin.send("/members/new", "/members", name="North", role="hospital", read="all")
    token = made.headers["location"]
    member = token.removesuffix("/token")
    transport = admin.http._transport
    assert isinstance(transport, httpx.ASGITransport)
    transport.raise_app_exceptions = False
    monkey = Monkey(admin.http, csrf_of(await admin.get("/members/new")))
    pages = ["/members", "/members/new", "/audit", member, token]
    leave = ("/logout", f"{member}/delete", f"{member}/token/away", "/live/transfers")
    there = {"address": member.rpartition("/")[2]}
    await monkey.walk(transport.app.routes, there, pages=pages, leave=leave)  # type: ignore[attr-defined]
    assert monkey.faults == []
    assert SCRIPT not in caplog.text
