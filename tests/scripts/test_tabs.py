"""Chromium by its tabs: what it loads ahead, it shows at the click."""

from pathlib import Path

import pytest
import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from p2pacs.units import Endpoint
from p2pacs.web.serving import serve_web
from scripts.program import ScriptError
from scripts.tabs import Tab, open_tabs

pytestmark = pytest.mark.chromium

PAGE = """<script type="speculationrules">{"prerender": [{"where": {"selector_matches": "a"},
"eagerness": "immediate"}]}</script><a href="/other" target="_blank" rel="noopener">on</a>"""
OTHER = "<script>window.ahead = document.prerendering</script>"


class _Site:
    """Notes what is asked for, and why."""

    def __init__(self) -> None:
        self.asked = list[tuple[str, str]]()

    async def answer(self, request: Request) -> Response:
        path = request.url.path
        self.asked.append((path, request.headers.get("sec-purpose", "")))
        return HTMLResponse(PAGE if path == "/" else OTHER)

    async def serve(self, *, task_status: trio.TaskStatus[Endpoint]) -> None:
        app = Starlette(routes=[Route("/", self.answer), Route("/other", self.answer)])
        await serve_web(app, Endpoint("127.0.0.1", 0), stop=trio.Event(), task_status=task_status)


async def test_a_link_is_loaded_ahead_and_shown_in_a_tab_of_its_own(tmp_path: Path) -> None:
    def look(where: Endpoint) -> list[object]:
        with open_tabs(tmp_path / "profile") as tab:
            tab.goto(f"http://{where}/")
            while len(site.asked) < 2:
                tab.browser.pause(0.05)
            other = tab.opens("a")
            seen = [other.evaluate("[window.ahead, location.pathname]")]
            other.picture(tmp_path / "seen.png")
            other.close()
            seen.append(tab.evaluate("location.pathname"))
            seen.append(_fails(tab))
            return seen

    site = _Site()
    async with trio.open_nursery() as nursery:
        where = await nursery.start(site.serve)
        seen = await trio.to_thread.run_sync(look, where)
        nursery.cancel_scope.cancel()
    assert seen == [[True, "/other"], "/", "in the page"]
    assert site.asked == [("/", ""), ("/other", "prefetch;prerender")]
    assert (tmp_path / "seen.png").read_bytes().startswith(b"\x89PNG")


def _fails(tab: Tab) -> str:
    with pytest.raises(ScriptError) as failed:
        tab.evaluate("nothing.of.it")
    return str(failed.value).partition(":")[0]


def test_without_the_program_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(ScriptError, match="Debian: chromium"), open_tabs(tmp_path):
        pass
