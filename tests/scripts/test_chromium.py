"""The browser that tests drive: it sees what this process serves meanwhile."""

from functools import partial
from pathlib import Path

import pytest
import trio
from playwright.sync_api import BrowserContext
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from p2pacs.units import Endpoint
from p2pacs.web.serving import serve_web
from scripts.chromium import Chromium, open_chromium, open_profile
from scripts.program import ScriptError

pytestmark = pytest.mark.chromium


async def _page(request: Request) -> Response:
    answer = HTMLResponse(f"<h1>{request.cookies.get('seen', 'never')}</h1>")
    answer.set_cookie("seen", "before", max_age=600)
    return answer


def _look_twice(context: BrowserContext, *, where: Endpoint) -> list[str]:
    page = context.new_page()
    seen = []
    for _ in range(2):
        page.goto(f"http://{where}/")
        seen.append(page.inner_text("h1"))
    return seen


async def _serve(*, task_status: trio.TaskStatus[Endpoint]) -> None:
    app = Starlette(routes=[Route("/", _page)])
    await serve_web(app, Endpoint("127.0.0.1", 0), stop=trio.Event(), task_status=task_status)


async def test_a_task_sees_what_is_served_and_nothing_of_the_task_before(
    chromium: Chromium,
) -> None:
    async with trio.open_nursery() as nursery:
        look = partial(_look_twice, where=await nursery.start(_serve))
        assert await chromium(look) == ["never", "before"]
        assert await chromium(look) == ["never", "before"]
        nursery.cancel_scope.cancel()


async def test_a_profile_keeps_what_it_was_given(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        look = partial(_look_twice, where=await nursery.start(_serve))
        with open_profile(tmp_path / "profile") as browser:
            assert await browser(look) == ["never", "before"]
            assert await browser(look) == ["before", "before"]
        nursery.cancel_scope.cancel()


def test_what_fails_in_the_browser_fails_here(chromium: Chromium) -> None:
    def fail(context: BrowserContext) -> None:
        raise LookupError("not there")

    with pytest.raises(LookupError, match="not there"):
        chromium.run(fail)
    assert chromium.run(lambda context: context.pages) == []


def test_without_the_program_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(ScriptError, match="Debian: chromium"), open_chromium():
        pass


def test_a_program_that_is_none_ends_at_once(tmp_path: Path) -> None:
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(Exception, match="closed"), open_chromium(program):
        pass
