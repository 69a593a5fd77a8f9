"""The page of what is sent from here, and what is done on it, over HTTP."""

import json
from pathlib import Path

import pytest
import trio
from sqlalchemy import select

from p2pacs.errors import ForbiddenError
from peer.accounts.rights import UserRole
from peer.db import trail
from peer.ingest.intake import take
from peer.spool.spool import Spool
from tests.conformance.instances import make
from tests.p2pacs.pages.browser import Browser
from tests.peer.fake_sending import arrived, stored
from tests.peer.pages.served import Served, served
from tests.peer.pages.transfers.test_live_views import stream
from tests.waiting import eventually

SENDING = {"enabled": True}


def spool_of(pages: Served) -> Spool:
    assert pages.peer.outbound is not None
    return pages.peer.outbound.spool


async def store(pages: Served, uid: str = "1.2.7", count: int = 2) -> int:
    """A scanner stores a study at the peer."""
    sent = [make(uid, 1, number, name="Kim^Ann") for number in range(1, count + 1)]
    return await trio.to_thread.run_sync(arrived, spool_of(pages), sent)


async def test_a_study_is_named_after_the_patient_for_who_may_search(tmp_path: Path) -> None:
    async with served(tmp_path, sending=SENDING) as pages:
        number = await store(pages)
        for role in (UserRole.RADIOLOGIST, UserRole.OPERATOR):
            async with pages.browser(role) as browser:
                for path in ("/sent", f"/sent/{number}/card"):
                    text = (await browser.get(path)).text
                    assert "Kim, Ann" in text
                    assert "CT1" in text
                    assert "1.2.7" not in text
        async with pages.browser(UserRole.ADMINISTRATOR) as browser:
            text = (await browser.get("/sent")).text
            assert f"Study {number}" in text
            assert "Kim" not in text
            assert f"/sent/{number}/cancel" not in text


async def test_somebody_cancels_sends_again_and_removes_and_the_trail_names_them(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, sending=SENDING) as pages, pages.browser() as browser:
        number, spool = await store(pages), spool_of(pages)
        for what in ("cancel", "retry", "cancel"):
            answer = await browser.send("/sent", f"/sent/{number}/{what}")
            assert (answer.status_code, answer.headers["location"]) == (303, "/sent")
        assert "Cancelled by radiologist" in (await browser.get("/sent")).text
        with pytest.raises(ForbiddenError):
            take(spool, make("1.2.7", 1, 3), "CT1")
        assert (await browser.send("/sent", f"/sent/{number}/remove")).status_code == 303
        assert not spool.index.list_studies()
        assert "Nothing was sent yet" in (await browser.get("/sent")).text
        rows = await pages.peer.database.run(lambda c: c.execute(select(trail)).all())
        done = [(row.actor, row.what) for row in rows if row.what != "sign-in"]
        assert done == [
            ("radiologist", "sending cancelled"),
            ("radiologist", "sending retried"),
            ("radiologist", "sending cancelled"),
            ("radiologist", "spool emptied"),
        ]


async def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    async with served(tmp_path, sending=SENDING) as pages, pages.browser() as browser:
        number = await store(pages)
        await trio.to_thread.run_sync(stored, spool_of(pages), "1.2.7")
        for what in ("cancel", "retry", "remove"):
            answer = await browser.send("/sent", f"/sent/{number}/{what}")
            assert answer.status_code == 409, what
        assert (await browser.send("/sent", "/sent/99/cancel")).status_code == 404
        assert (await browser.get("/sent/99/card")).status_code == 404


async def test_who_may_do_something(tmp_path: Path) -> None:
    async with served(tmp_path, sending=SENDING) as pages:
        number = await store(pages)
        async with pages.browser(UserRole.ADMINISTRATOR) as browser:
            assert (await browser.get(f"/sent/{number}/address")).status_code == 403
            for what in ("cancel", "retry", "remove", "address"):
                answer = await browser.send("/account", f"/sent/{number}/{what}")
                assert answer.status_code == 403
        async with pages.browser() as browser:
            answer = await browser.http.post(f"/sent/{number}/cancel", data={"csrf": "x"})
            assert answer.status_code == 403
        assert spool_of(pages).index.list_studies()[0].cancelled is None


async def test_where_nothing_is_sent(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        assert "takes no studies to send" in (await browser.get("/sent")).text
        assert (await browser.send("/account", "/sent/1/cancel")).status_code == 404


async def test_an_open_page_sees_a_study_come_and_go(tmp_path: Path) -> None:
    async with (
        served(tmp_path, sending=SENDING) as pages,
        pages.browser() as browser,
        stream(browser, "/live/sent") as seen,
    ):
        await eventually(lambda: seen.latest.get("sent", {}).get("shown") == [])
        number = await store(pages)
        topic = f"sent-{number}"
        await eventually(lambda: topic in seen.latest)
        assert seen.latest["sent"]["shown"] == [number]
        said = json.dumps(seen.latest, ensure_ascii=False)
        assert "Kim" not in said
        assert "1.2.7" not in said
        await _cancel(browser, number)
        await eventually(lambda: seen.latest[topic]["state"] == "cancelled")
        await browser.send("/sent", f"/sent/{number}/remove")
        await eventually(lambda: seen.latest["sent"]["shown"] == [])


async def _cancel(browser: Browser, number: int) -> None:
    assert (await browser.send("/sent", f"/sent/{number}/cancel")).status_code == 303


async def test_somebody_says_to_whom_it_goes(tmp_path: Path) -> None:
    async with served(tmp_path, sending=SENDING) as pages, pages.browser() as browser:
        await pages.world.add("b")
        number = await store(pages)
        form = f"/sent/{number}/address"
        await eventually_there(browser, form, 'value="b"')
        answer = await browser.send(form, form, to="b", priority="stat")
        assert (answer.status_code, answer.headers["location"]) == (303, "/sent")
        page = (await browser.get("/sent")).text
        assert "STAT: before all others" in page
        assert "has nothing of it yet" in page
        assert 'value="b" checked' in (await browser.get(form)).text
        wrong = await browser.send(form, form, to="nobody")
        assert wrong.status_code == 404
        assert "No other hospital of this network is called nobody; there are: b." in wrong.text
        await browser.send(form, form)
        assert "nobody in particular" in (await browser.get("/sent")).text


async def eventually_there(browser: Browser, path: str, text: str) -> None:
    """A page says something soon."""
    while text not in (await browser.get(path)).text:
        await trio.sleep(0.1)
