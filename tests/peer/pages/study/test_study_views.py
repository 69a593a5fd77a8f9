"""The pages of studies over HTTP, as a browser without JavaScript sees them."""

import re
from pathlib import Path

import pytest

from peer.accounts.rights import UserRole
from peer.pages.search.presence import Presence
from peer.retrieval.requester import Requester
from tests.peer.pages.served import served
from tests.peer.pages.study.presence import until
from tests.peer.world import reported
from tests.waiting import eventually

PATIENT = "Grün, Zoë"
REQUESTER = Requester("VIEWER", "get")


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


async def test_a_revoked_hospital_shows_no_names(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        await eventually(lambda: pages.peer.identity.broker in pages.peer.host.mesh.links)
        pages.world.revoke("a")
        await eventually(lambda: pages.peer.host.mesh.refused.get(pages.peer.identity.broker))
        for path in ("/studies", pages.study):
            answer = await browser.get(path)
            assert answer.status_code == 403
            assert PATIENT not in answer.text
