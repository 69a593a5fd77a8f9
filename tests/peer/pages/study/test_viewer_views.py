"""The way to the viewer: a link where it is at the same host, else a page with a ticket."""

import base64
import hashlib
import re
from pathlib import Path

from p2pacs.units import Endpoint
from peer.accounts.rights import UserRole
from tests.peer.pages.served import served

TICKET = re.compile(r'name="ticket" value="([\w-]{43})"')


LINK = re.compile(r'<a class="button" href="([^"]+)" target="_blank" rel="noopener" data-viewer>')
RULES = re.compile(r'<script type="speculationrules">(.+?)</script>')


async def test_who_may_look_has_a_link_and_its_cookie(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        door = pages.peer.viewer_door
        door.opened(Endpoint("127.0.0.1", 8999), secure=False)
        page = await browser.get(pages.study)
        link, rules = LINK.search(page.text), RULES.search(page.text)
        assert link is not None
        uid = pages.world.broker.uid
        assert link[1] == f"http://127.0.0.1:8999/viewer?StudyInstanceUIDs={uid}"
        assert rules is not None
        digest = base64.b64encode(hashlib.sha256(rules[1].encode()).digest()).decode()
        policy = page.headers["content-security-policy"]
        assert f"script-src 'self' 'sha256-{digest}'; connect-src 'self';" in policy
        (given,) = page.headers.get_list("set-cookie")
        assert "HttpOnly" in given
        assert "SameSite=strict" in given
        name, value = given.partition(";")[0].split("=")
        assert name == f"viewer-{pages.peer.identity.address.raw[-4:].hex()}"
        session = await door.reader(value)
        assert session is not None
        assert session.account == UserRole.RADIOLOGIST
        again = await browser.get(pages.study)
        assert "set-cookie" not in again.headers
        other = await browser.get("/studies")
        assert "sha256" not in other.headers["content-security-policy"]


async def test_it_is_let_in_nowhere_else(tmp_path: Path) -> None:
    async with served(tmp_path) as pages:
        async with pages.browser() as browser:
            page = await browser.get(pages.study)  # no viewer is served
            assert LINK.search(page.text) is None
            assert f'action="{pages.study}/viewer"' in page.text
            assert "set-cookie" not in page.headers
        pages.peer.viewer_door.opened(Endpoint("127.0.0.1", 8999), secure=True)
        async with pages.browser() as browser:
            page = await browser.get(pages.study)  # the viewer's cookie needs HTTPS
            assert LINK.search(page.text) is None
            assert f'action="{pages.study}/viewer"' in page.text
        pages.peer.viewer_door.opened(Endpoint("127.0.0.1", 8999), secure=False)
        async with pages.browser(UserRole.OPERATOR) as browser:
            page = await browser.get(pages.study)
            assert page.status_code == 200
            assert "data-viewer" not in page.text
            assert f"{pages.study}/viewer" not in page.text
            assert "set-cookie" not in page.headers
            assert "sha256" not in page.headers["content-security-policy"]


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
