"""The viewer in a real browser that loads it ahead: nothing of the study before the click."""

from functools import partial
from pathlib import Path

import pytest
import trio

from peer.accounts.rights import UserRole
from peer.viewer.archive import contents
from peer.viewer.installed import install
from scripts.tabs import Tab, open_tabs
from tests.p2pacs.pages.browser import PASSWORD
from tests.peer.pages.served import Served, served
from tests.peer.viewer.archives import FILES, archive_of

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(120)]

VIEWER = b"""
document.title = "read";
(async () => {
  for (const one of window.config.extensions) await one.preRegistration?.({});
  const said = await fetch("/dicom-web/studies");
  document.title = said.status;
})();
"""
"""As OHIF: scripts are read, then extensions registered, then studies asked for."""

PAGE = b'<html><script src="/app-config.js"></script><script>%s</script></html>'
_TITLE = "document.title"


def _sign_in(tab: Tab, pages: Served) -> None:
    tab.goto(f"{pages.url}/login")
    for field, value in (("name", UserRole.RADIOLOGIST), ("password", PASSWORD)):
        tab.evaluate(f"document.querySelector('#{field}').value = '{value}'")
    tab.leave(partial(tab.click, "main button"))


async def test_the_study_begins_to_come_with_the_click(tmp_path: Path) -> None:
    def look() -> list[object]:
        with open_tabs(tmp_path / "profile") as tab:
            _sign_in(tab, pages)
            tab.goto(f"{pages.url}{pages.study}")
            ahead = None
            while ahead is None:
                tab.browser.pause(0.05)
                ahead = next((one for one in tab.browser.tabs() if one != tab), None)
            ahead.wait("document.title === 'read'")
            tab.browser.pause(0.5)  # in which it would ask
            seen: list[object] = [ahead.evaluate(_TITLE), bool(pages.peer.reads.fetches)]
            viewer = tab.opens("a[data-viewer]")
            viewer.wait("document.title !== 'read'")
            seen.append(viewer.evaluate(_TITLE))
            return seen

    files = FILES | {"package/dist/index.html": PAGE % VIEWER}
    install(tmp_path / "shared" / "viewer", contents(archive_of(tmp_path / "a.tgz", files)))
    gateway = {"viewer": "127.0.0.1:0", "viewer_files": str(tmp_path / "shared")}
    async with served(tmp_path, gateway=gateway) as pages, trio.open_nursery() as nursery:
        await nursery.start(pages.peer.serve_viewer)
        assert await trio.to_thread.run_sync(look) == ["read", False, "200"]
        with trio.fail_after(30):
            while not pages.peer.reads.fetches:
                await trio.sleep(0.05)
        nursery.cancel_scope.cancel()


async def test_without_loading_ahead_the_click_opens_it_too(tmp_path: Path) -> None:
    def look() -> object:
        with open_tabs(tmp_path / "profile") as tab:
            _sign_in(tab, pages)
            tab.goto(f"{pages.url}{pages.study}")
            tab.evaluate("document.querySelector('script[type=speculationrules]').remove()")
            viewer = tab.opens("a[data-viewer]")
            viewer.wait("!['', 'read'].includes(document.title)")
            return viewer.evaluate(_TITLE)

    files = FILES | {"package/dist/index.html": PAGE % VIEWER}
    install(tmp_path / "shared" / "viewer", contents(archive_of(tmp_path / "a.tgz", files)))
    gateway = {"viewer": "127.0.0.1:0", "viewer_files": str(tmp_path / "shared")}
    async with served(tmp_path, gateway=gateway) as pages, trio.open_nursery() as nursery:
        await nursery.start(pages.peer.serve_viewer)
        assert await trio.to_thread.run_sync(look) == "200"
        nursery.cancel_scope.cancel()
