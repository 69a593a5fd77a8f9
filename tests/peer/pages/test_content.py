"""Which right each page and form needs, asked of the routes themselves."""

from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from p2pacs.pages.door import Change, Show
from p2pacs.web.pages import Pages
from peer.accounts.rights import USER_RIGHTS, UserRight, UserRole
from peer.pages import app
from tests.peer.pages.served import Served, served


class Rights:
    """A door that notes what stands behind it, and lets nobody through."""

    def __init__(self) -> None:
        self.shown: list[str | None] = []
        self.changed: list[str | None] = []

    def shows(self, _view: Show, right: str | None) -> object:
        self.shown.append(right)
        return _nobody

    def changes(self, _view: Change, right: str | None) -> object:
        self.changed.append(right)
        return _nobody


async def _nobody(_request: object) -> None:
    raise AssertionError


def routes_of(pages: Served) -> tuple[list[Route], Rights]:
    door = Rights()
    templates = Pages(Path(app.__file__).parent / "templates")
    return list(pages.content.routes(door, templates)), door  # type: ignore[arg-type]


async def test_what_reads_is_shown_and_what_changes_is_a_form(tmp_path: Path) -> None:
    async with served(tmp_path) as pages:
        routes, door = routes_of(pages)
    reads = [one for one in routes if one.methods == {"GET", "HEAD"}]
    assert len(reads) == len(door.shown)
    assert {frozenset(one.methods or ()) for one in routes if one not in reads} == {
        frozenset({"POST"})
    }
    assert len(routes) - len(reads) == len(door.changed)
    assert {*door.shown, *door.changed} <= set(UserRight)  # None would be for everybody


async def test_nothing_is_shown_to_nobody(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, httpx.AsyncClient(base_url=pages.url, timeout=60) as http:
        study = str(pages.world.broker.study)
        routes, _ = routes_of(pages)
        for route in routes:
            path = route.path.replace("{study}", study).replace("{number:int}", "1")
            for method in (route.methods or set()) - {"HEAD"}:
                answer = await http.request(method, path)
                assert answer.headers.get("location") == "/login", path
        assert not pages.peer.host.engine.downloads.transfers


@pytest.mark.parametrize("role", list(UserRole))
async def test_a_page_is_for_who_has_its_right(tmp_path: Path, role: UserRole) -> None:
    async with served(tmp_path) as pages, pages.browser(role) as browser:
        study = str(pages.world.broker.study)
        routes, door = routes_of(pages)
        reads = [one for one in routes if one.methods == {"GET", "HEAD"}]
        for route, right in zip(reads, door.shown, strict=True):
            if route.path.startswith("/live/"):
                continue  # it would not end
            path = route.path.replace("{study}", study).replace("{number:int}", "1")
            refused = (await browser.get(path)).status_code == 403
            assert refused is (right not in USER_RIGHTS[role]), path
