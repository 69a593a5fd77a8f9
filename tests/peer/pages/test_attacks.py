"""What strangers and people who are signed in may try on the hospital's pages."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from peer.accounts.rights import UserRole
from peer.pages.app import make_pages
from tests.p2pacs.accounts.conftest import CHEAP
from tests.p2pacs.pages.browser import Browser, csrf_of
from tests.p2pacs.web.monkey import SCRIPT, Monkey
from tests.peer.pages.served import Served, served

STREAMS = ("/live/transfers", "/live/network", "/live/sent", "/live/studies/{study}")
"""They do not end."""


def made_of(pages: Served) -> Starlette:
    peer = pages.peer
    return make_pages("a", peer.database, peer.settings.web, pages.content, passwords=CHEAP)


def browser(made: Starlette) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(made, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("role", [UserRole.RADIOLOGIST, UserRole.ADMINISTRATOR])
async def test_nothing_that_is_sent_is_taken_for_what_it_is_not(
    tmp_path: Path, role: UserRole, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path) as pages, browser(made := made_of(pages)) as http:
        await Browser(http).sign_in(role)
        study = str(pages.world.broker.study)
        shown, routes = ["/settings"], []
        if role is UserRole.RADIOLOGIST:
            shown, routes = ["/studies", pages.study], made.routes
        monkey = Monkey(http, csrf_of(await http.get("/network")))
        there = {"study": study, "number": "1"}
        await monkey.walk(routes, there, pages=shown, leave=(*STREAMS, "/logout"))
        assert monkey.faults == []
    assert SCRIPT not in caplog.text
