"""Forms of a study's page over HTTP."""

from pathlib import Path

from peer.pages.search.presence import Presence
from tests.peer.pages.served import served
from tests.peer.pages.study.presence import until, where


async def test_a_fetch_is_paused_gone_on_with_made_urgent_and_cancelled(tmp_path: Path) -> None:
    async with served(tmp_path, complete=False) as pages, pages.browser() as browser:

        async def do(what: str) -> int:
            return (await browser.send(pages.study, f"{pages.study}/{what}")).status_code

        assert await do("pause") == 404  # it was not asked for
        assert await do("fetch") == 303
        await until(pages, Presence.COMING)
        page = await browser.get(pages.study)
        assert 'data-state="fetching"' in page.text
        assert await do("stat") == 303
        assert "STAT" in (await browser.get("/transfers")).text
        assert await do("pause") == 303
        assert await where(pages) is Presence.PAUSED
        assert "Go on" in (await browser.get(pages.study)).text
        assert await do("fetch") == 303
        assert await where(pages) is Presence.COMING
        assert await do("cancel") == 303
        assert await where(pages) is Presence.FAILED
        assert await do("pause") == 404


async def test_what_is_kept_is_pinned(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        assert (await browser.send(pages.study, f"{pages.study}/pin")).status_code == 404
        await browser.send(pages.study, f"{pages.study}/fetch")
        await until(pages, Presence.HERE)
        for what, pinned in (("pin", True), ("unpin", False)):
            assert (await browser.send(pages.study, f"{pages.study}/{what}")).status_code == 303
            info = pages.peer.store.info(pages.world.broker.study)
            assert info is not None
            assert info.pinned is pinned


async def test_a_study_is_downloaded_while_it_comes(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        answer = await browser.send(pages.study, f"{pages.study}/archive")
        assert answer.headers["content-type"] == "application/zip"
        assert answer.content.startswith(b"PK")
        name = answer.headers["content-disposition"]
        assert pages.world.broker.study.short in name


async def test_a_form_without_its_token_changes_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        for what in ("fetch", "pause", "cancel", "stat", "pin", "unpin", "send", "archive"):
            answer = await browser.http.post(f"{pages.study}/{what}", data={"csrf": "x"})
            assert answer.status_code == 403, what
        assert not pages.peer.host.engine.downloads.transfers
