"""The pages of studies over HTTP, as a browser without JavaScript sees them."""

import re
from pathlib import Path

import pytest
import trio

from peer.accounts.rights import UserRole
from peer.pages.search.presence import Presence
from peer.retrieval.requester import Requester
from tests.peer.pages.served import Served, served
from tests.peer.world import reported
from tests.waiting import eventually

PATIENT = "Grün, Zoë"
REQUESTER = Requester("VIEWER", "get")


async def where(pages: Served) -> Presence:
    record = await pages.content.sources.listing.get(pages.world.broker.study)
    return (await pages.content.sources.listing.row(record)).where.presence


async def until(pages: Served, presence: Presence) -> None:
    with trio.fail_after(60):
        while await where(pages) is not presence:
            await trio.sleep(0.01)


async def test_a_study_is_searched_fetched_and_looked_at(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        assert (await browser.get("/")).headers["location"] == "/studies"
        listed = await browser.get("/studies")
        assert PATIENT in listed.text
        assert "In the network" in listed.text
        found = await browser.send("/studies", "/studies", name="grün", span="")
        assert found.status_code == 303
        assert re.fullmatch(r"/studies\?search=[\w-]{16}", found.headers["location"])
        assert PATIENT in (await browser.get(found.headers["location"])).text
        nothing = await browser.send("/studies", "/studies", name="Nobody")
        assert "No study matches" in (await browser.get(nothing.headers["location"])).text

        page = await browser.get(pages.study)
        assert "not here yet" in page.text
        assert (await browser.send(pages.study, f"{pages.study}/fetch")).status_code == 303
        await until(pages, Presence.HERE)
        page = await browser.get(pages.study)
        assert "Look at Series 1" in page.text
        small = re.findall(r' src="(/studies/\w+/instances/\d+/preview[^"]*)"', page.text)
        assert len(small) == 3
        for path in small:
            assert (await browser.get(path)).headers["content-type"].startswith("image/")
        look = await browser.get(f"{pages.study}/look?series=1")
        shown = re.search(r'src="(/studies/\w+/instances/\d+/picture[^"]*)"', look.text)
        assert shown is not None
        for window in ("", "&window=40,400"):
            picture = await browser.get(shown[1] + window)
            assert picture.headers["content-type"] == "image/jpeg"
        told = (await browser.get(f"{pages.study}/images?series=1")).json()
        assert told == {"images": ["1:1", "2:1", "3:1"]}
        assert await reported(pages.world, pages.peer) == 2  # fetched, and looked at: once each
        said = b"".join(pages.world.broker.audit)
        assert b"radiologist" in said
        assert b"looked at on the page" in said


async def test_nothing_of_a_patient_is_in_an_address(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        texts = [(await browser.get(path)).text for path in ("/studies", pages.study)]
        links = [
            link for text in texts for link in re.findall(r'(?:href|action|src)="([^"]*)"', text)
        ]
        assert len(links) > 20
        uid = pages.world.broker.uid
        assert not [link for link in links if uid in link or "P1" in link or "Gr" in link]


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


@pytest.mark.parametrize(
    ("role", "allowed", "refused"),
    [
        (UserRole.OPERATOR, ["/studies", "/transfers", "/network"], ["/settings"]),
        (UserRole.ADMINISTRATOR, ["/transfers", "/network", "/settings"], ["/studies"]),
        (UserRole.RADIOLOGIST, ["/studies", "/transfers", "/network"], ["/settings"]),
    ],
)
async def test_everybody_sees_what_is_theirs(
    tmp_path: Path, role: UserRole, allowed: list[str], refused: list[str]
) -> None:
    async with served(tmp_path) as pages, pages.browser(role) as browser:
        for path in allowed:
            assert (await browser.get(path)).status_code == 200, path
        study = pages.study
        if role is not UserRole.RADIOLOGIST:
            refused = [*refused, f"{study}/look", f"{study}/instances/1/picture"]
        for path in refused:
            assert (await browser.get(path)).status_code == 403, path
        if role is UserRole.ADMINISTRATOR:
            await pages.peer.reads.open(pages.world.broker.uid, REQUESTER)
            text = (await browser.get("/transfers")).text
            assert PATIENT not in text
            assert pages.world.broker.study.short in text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/studies/nonsense", 400),
        ("/studies/" + "0" * 32, 404),
        ("/studies?page=0", 400),
        ("/studies?page=" + "9" * 40, 200),
        ("/studies?search=unknown", 200),
        ("STUDY/instances/1/preview", 404),
        ("STUDY/instances/1/picture?window=x", 404),
        ("STUDY/look?series=99", 404),
        ("/transfers/" + "0" * 32 + "/card", 404),
        ("/live/studies/" + "0" * 32, 404),
    ],
)
async def test_what_cannot_be_is_said_plainly(tmp_path: Path, path: str, status: int) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        answer = await browser.get(path.replace("STUDY", pages.study))
        assert answer.status_code == status
        assert "Traceback" not in answer.text


async def test_images_that_do_not_exist_are_not_found(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        await browser.send(pages.study, f"{pages.study}/fetch")
        await until(pages, Presence.HERE)
        for path, status in (
            ("instances/99/preview", 404),
            ("instances/1/picture?frame=7", 404),
            ("instances/1/picture?frame=x", 400),
            ("instances/1/picture?window=1", 400),
            ("images?series=99", 200),
        ):
            assert (await browser.get(f"{pages.study}/{path}")).status_code == status, path


async def test_a_form_without_its_token_changes_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        for what in ("fetch", "pause", "cancel", "stat", "pin", "unpin", "send", "archive"):
            answer = await browser.http.post(f"{pages.study}/{what}", data={"csrf": "x"})
            assert answer.status_code == 403, what
        assert not pages.peer.host.engine.downloads.transfers


async def test_a_revoked_hospital_shows_no_names(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        await eventually(lambda: pages.peer.identity.broker in pages.peer.host.mesh.links)
        pages.world.revoke("a")
        await eventually(lambda: pages.peer.host.mesh.refused.get(pages.peer.identity.broker))
        for path in ("/studies", pages.study):
            answer = await browser.get(path)
            assert answer.status_code == 403
            assert PATIENT not in answer.text
