import pytest

from peer.accounts.rights import UserRole
from peer.accounts.trail import read_trail
from tests.p2pacs.pages.browser import Browser
from tests.peer.pages.conftest import Hospital


@pytest.mark.parametrize("role", list(UserRole))
async def test_everybody_signs_in_and_out(
    browser: Browser, hospital: Hospital, role: UserRole
) -> None:
    assert (await browser.get("/")).headers["location"] == "/login"
    assert "Pages of North General." in (await browser.get("/login")).text
    assert (await browser.sign_in(role, "wrong")).status_code == 401
    assert (await browser.sign_in(role)).headers["location"] == "/"
    page = await browser.get("/")
    assert page.status_code == 200
    assert f"{role}, {role}" in page.text
    assert (await browser.send("/", "/logout")).headers["location"] == "/login"
    assert (await browser.get("/")).status_code == 303
    entries = await hospital.database.run(lambda c: read_trail(c, 10))
    assert [(one.actor, one.refused) for one in entries] == [(role, False), (role, True)]


async def test_scripts_are_our_own_files_alone(browser: Browser) -> None:
    policy = (await browser.get("/login")).headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_a_name_that_is_not_ours_says_which_setting(browser: Browser) -> None:
    answer = await browser.http.get("/login", headers={"Host": "evil.example"})
    assert answer.status_code == 421
    assert "web.hosts in peer.toml" in answer.text
