"""The way to the viewer: a page with a ticket, and nothing of it anywhere else."""

import re
from pathlib import Path

from p2pacs.units import Endpoint
from peer.accounts.rights import UserRole
from tests.peer.pages.served import served

TICKET = re.compile(r'name="ticket" value="([\w-]{43})"')


async def test_who_may_look_gets_a_ticket_for_this_study_alone(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        door = pages.peer.viewer_door
        door.opened(Endpoint("127.0.0.1", 8999), secure=False)
        page = await browser.send(pages.study, f"{pages.study}/viewer")
        found = TICKET.search(page.text)
        assert found is not None
        policy = page.headers["content-security-policy"]
        assert "form-action 'self' http://127.0.0.1:8999" in policy
        assert page.headers["cache-control"] == "no-store"
        _cookie, uid = await door.admit(found[1])
        assert uid == pages.world.broker.uid
        assert uid not in page.text


async def test_where_no_viewer_is_served_that_is_said(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        page = await browser.send(pages.study, f"{pages.study}/viewer")
        assert page.status_code == 200
        assert TICKET.search(page.text) is None
        assert "form-action 'self';" in page.headers["content-security-policy"]


async def test_it_is_not_for_everybody_nor_for_any_study(tmp_path: Path) -> None:
    async with served(tmp_path) as pages:
        pages.peer.viewer_door.opened(Endpoint("127.0.0.1", 8999), secure=False)
        async with pages.browser() as browser:
            answer = await browser.send("/studies", f"/studies/{'0' * 32}/viewer")
            assert answer.status_code == 404
        async with pages.browser(UserRole.OPERATOR) as browser:
            answer = await browser.send("/studies", f"{pages.study}/viewer")
            assert answer.status_code == 403
