"""One's own account, as browsers come to it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from trio.testing import MockClock

from p2pacs.accounts import sessions
from p2pacs.accounts.one_time import (
    RECOVERY_CODES,
    code_at,
    new_secret,
    read_secret_text,
    secret_text,
)
from p2pacs.accounts.second_factor import has_second_factor
from tests.p2pacs.pages.browser import PASSWORD, Browser, csrf_of
from tests.p2pacs.pages.conftest import Site

NEW = "a new password, quite long"
SECOND = "/account/second-factor"


@pytest.fixture(autouse=True)
def virtual(autojump_clock: MockClock) -> None:
    """Guessing gets slow."""


@asynccontextmanager
async def elsewhere(site: Site, address: str = "192.0.2.7") -> AsyncIterator[Browser]:
    """Another browser of the same person."""
    async with site.client(address) as http:
        browser = Browser(http)
        yield browser


def secret_of(page: httpx.Response) -> bytes:
    found = re.search(r'name="secret" value="([A-Z2-7]+)"', page.text)
    assert found is not None
    return read_secret_text(found[1])


async def add_second(browser: Browser, site: Site) -> tuple[bytes, list[str]]:
    """Set it up as people do; secret and recovery codes."""
    page = await browser.get(SECOND)
    secret = secret_of(page)
    fields = {"csrf": csrf_of(page), "secret": secret_text(secret), "current": PASSWORD}
    answer = await browser.http.post(SECOND, data={**fields, "code": code_at(secret, site.step)})
    assert answer.status_code == 200, answer.text
    codes = re.findall(r"\b[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}\b", answer.text)
    assert len(codes) == RECOVERY_CODES
    site.step += 1  # that code is used
    return secret, codes


async def finish(browser: Browser, answer: httpx.Response, code: str) -> httpx.Response:
    """The code, after the right password."""
    half = re.search(r'name="half" value="([^"]+)"', answer.text)
    assert half is not None, answer.text
    fields = {"csrf": csrf_of(answer), "half": half[1], "code": code}
    return await browser.http.post("/login/code", data=fields)


# ---------------------------------------------------------------- password


async def test_a_new_password_keeps_this_browser_and_no_other(admin: Browser, site: Site) -> None:
    async with elsewhere(site) as other:
        await other.sign_in()
        before = admin.http.cookies["session"]
        answer = await admin.send(
            "/account", "/account/password", current=PASSWORD, new=NEW, again=NEW
        )
        assert answer.headers["location"] == "/account?done=password"
        assert admin.http.cookies["session"] != before
        assert "is changed" in (await admin.get("/account?done=password")).text
        assert (await other.get("/")).status_code == 303
        assert (await other.sign_in()).status_code == 401
        assert (await other.sign_in(password=NEW)).status_code == 303
    assert site.noted == [("admin", "password changed", "by its owner")]


@pytest.mark.parametrize(
    ("current", "new", "again", "said"),
    [
        ("wrong", NEW, NEW, "Your password is wrong"),
        (PASSWORD, "short", "short", "12 to"),
        (PASSWORD, NEW, NEW + "!", "not the same"),
        (PASSWORD, "x" * 1025, "x" * 1025, "12 to"),
    ],
)
async def test_a_password_that_is_not_changed(
    admin: Browser, site: Site, *, current: str, new: str, again: str, said: str
) -> None:
    answer = await admin.send(
        "/account", "/account/password", current=current, new=new, again=again
    )
    assert answer.status_code == 400
    assert said in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert site.noted == []
    async with elsewhere(site) as other:
        assert (await other.sign_in()).status_code == 303


async def test_who_finds_a_browser_open_does_not_guess_the_password_fast(
    admin: Browser, site: Site, autojump_clock: MockClock
) -> None:
    began = autojump_clock.current_time()
    for _ in range(20):
        await admin.send("/account", "/account/password", current="?", new=NEW, again=NEW)
    assert autojump_clock.current_time() - began > 60
    assert [one.account for one in site.told if one.failures] == ["admin", "admin"]


# ---------------------------------------------------------------- sessions


async def test_sessions_are_listed_and_ended(admin: Browser, site: Site) -> None:
    async with elsewhere(site) as other, elsewhere(site, "192.0.2.8") as third:
        await other.sign_in()
        await third.sign_in()
        page = (await admin.get("/account")).text
        assert page.count("this browser") == 1
        for address in ("10.0.0.1", "192.0.2.7", "192.0.2.8"):
            assert address in page
        chosen = sessions.token_hash(other.http.cookies["session"]).hex()
        await admin.send("/account", "/account/session", session=chosen)
        assert (await other.get("/")).status_code == 303
        assert (await third.get("/")).status_code == 200
        await admin.send("/account", "/account/session", session="others")
        assert (await third.get("/")).status_code == 303
        assert (await admin.get("/")).status_code == 200


@pytest.mark.parametrize("made_up", ["", "zz", "00" * 32, "\N{SNOWMAN}"])
async def test_a_session_that_is_not_ones_own(admin: Browser, site: Site, made_up: str) -> None:
    await site.add("bert", "auditor")
    async with elsewhere(site) as bert:
        await bert.sign_in("bert")
        theirs = sessions.token_hash(admin.http.cookies["session"]).hex()
        for chosen in (made_up, theirs):
            answer = await bert.send("/account", "/account/session", session=chosen)
            assert answer.status_code == 409
    assert (await admin.get("/")).status_code == 200


# ---------------------------------------------------------------- second factor


async def test_a_second_factor_from_beginning_to_end(admin: Browser, site: Site) -> None:
    async with elsewhere(site) as other:
        await other.sign_in()
        secret, codes = await add_second(admin, site)
        assert (await other.get("/")).status_code == 303, "others are signed out"
        answer = await other.sign_in()
        assert answer.status_code == 200
        assert (await other.get("/")).status_code == 303
        wrong = await finish(other, answer, "000000")
        assert wrong.status_code == 401
        assert "code is wrong" in wrong.text
        right = await finish(other, wrong, code_at(secret, site.step))
        assert right.status_code == 303
        assert "10 recovery codes are left" in (await other.get("/account")).text
        await other.send("/", "/logout")
        assert (await finish(other, await other.sign_in(), codes[0])).status_code == 303
        assert "9 recovery codes are left" in (await other.get("/account")).text
    answer = await admin.send(
        "/account", f"{SECOND}/remove", current=PASSWORD, code=codes[1].upper()
    )
    assert answer.headers["location"] == "/account?done=second"
    assert not await site.database.run(lambda c: has_second_factor(c, "admin"))
    assert [what for _, what, _ in site.noted] == ["second factor added", "second factor removed"]


async def test_nothing_is_asked_for_before_the_app_has_proved_to_have_it(
    admin: Browser, site: Site
) -> None:
    page = await admin.get(SECOND)
    assert "<svg" in page.text
    secret = secret_text(secret_of(page))
    fields = {"csrf": csrf_of(page), "secret": secret, "current": PASSWORD, "code": "000000"}
    answer = await admin.http.post(SECOND, data=fields)
    assert answer.status_code == 400
    assert "code is wrong" in answer.text
    assert secret in answer.text, "the app need not read another one"
    good = code_at(secret_of(page), site.step)
    answer = await admin.http.post(SECOND, data={**fields, "code": good, "current": "wrong"})
    assert answer.status_code == 400
    for wrong in ("", "AAAA", secret[:-1] + "1"):
        answer = await admin.http.post(SECOND, data={**fields, "secret": wrong})
        assert answer.status_code == 400
    assert not await site.database.run(lambda c: has_second_factor(c, "admin"))
    assert site.noted == []


async def test_one_that_is_there_is_not_replaced_by_who_has_only_a_session(
    admin: Browser, site: Site
) -> None:
    secret, _ = await add_second(admin, site)
    assert (await admin.get(SECOND)).status_code == 409
    other = new_secret()
    csrf = csrf_of(await admin.get("/account"))
    fields = {"csrf": csrf, "secret": secret_text(other), "current": PASSWORD}
    answer = await admin.http.post(SECOND, data={**fields, "code": code_at(other, site.step)})
    assert answer.status_code == 409
    for action in (f"{SECOND}/remove", f"{SECOND}/codes"):
        for current, code in ((PASSWORD, "000000"), ("wrong", code_at(secret, site.step))):
            answer = await admin.send("/account", action, current=current, code=code)
            assert answer.status_code == 400
    assert await site.database.run(lambda c: has_second_factor(c, "admin"))


async def test_new_recovery_codes_take_the_place_of_the_old(admin: Browser, site: Site) -> None:
    secret, old = await add_second(admin, site)
    answer = await admin.send(
        "/account", f"{SECOND}/codes", current=PASSWORD, code=code_at(secret, site.step)
    )
    fresh = re.findall(r"\b[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}\b", answer.text)
    assert len(fresh) == RECOVERY_CODES
    assert not set(fresh) & set(old)
    async with elsewhere(site) as other:
        wrong = await finish(other, await other.sign_in(), old[0])
        assert wrong.status_code == 401
        assert (await finish(other, wrong, fresh[0])).status_code == 303


async def test_a_code_form_from_elsewhere_is_refused(admin: Browser, site: Site) -> None:
    secret, _ = await add_second(admin, site)
    async with elsewhere(site) as other, elsewhere(site) as eve:
        half = re.search(r'name="half" value="([^"]+)"', (await other.sign_in()).text)
        assert half is not None
        fields = {"half": half[1], "code": code_at(secret, site.step)}
        assert (await eve.http.post("/login/code", data=fields)).status_code == 403
        assert (await eve.http.post("/login/code", data={**fields, "csrf": "x"})).status_code == 403
        form = {"csrf": csrf_of(await eve.get("/login")), "code": "000000", "half": "made up"}
        answer = await eve.http.post("/login/code", data=form)
        assert answer.status_code == 401
        assert "Sign in again" in answer.text


async def test_strangers_come_nowhere_near(browser: Browser) -> None:
    for path in ("/account", SECOND):
        assert (await browser.get(path)).headers["location"] == "/login"
    for path in ("password", "session", "second-factor", "second-factor/remove"):
        answer = await browser.http.post(f"/account/{path}", data={"csrf": "x"})
        assert answer.headers["location"] == "/login"


@pytest.mark.parametrize("path", ["password", "session", "second-factor", "second-factor/codes"])
async def test_forms_from_elsewhere_change_nothing(admin: Browser, site: Site, path: str) -> None:
    fields = {"current": PASSWORD, "new": NEW, "again": NEW, "session": "others"}
    assert (await admin.http.post(f"/account/{path}", data=fields)).status_code == 403
    assert site.noted == []


async def test_the_language_of_an_account_goes_before_that_of_its_browsers(
    site: Site, admin: Browser
) -> None:
    answer = await admin.send("/account", "/account/language", language="de")
    assert answer.status_code == 303
    page = await admin.get("/account?done=language")
    assert page.headers["Content-Language"] == "de"
    assert '<html lang="de">' in page.text
    assert "Die Seiten erscheinen jetzt in dieser Sprache." in page.text
    assert '<option value="de" lang="de" selected>Deutsch</option>' in page.text
    async with elsewhere(site) as other:
        other.http.headers["Accept-Language"] = "pt"
        assert '<html lang="pt">' in (await other.get("/login")).text
        await other.sign_in()
        assert '<html lang="de">' in (await other.get("/account")).text
        # Nothing chosen: what each browser says.
        assert (await other.send("/account", "/account/language", language="")).status_code == 303
        assert '<html lang="pt">' in (await other.get("/account")).text
    assert admin.http.cookies["language"] == "de"
    await admin.send("/account", "/account/language", language="es")
    await admin.send("/account", "/account/language", language="")
    assert "language" not in admin.http.cookies


async def test_a_language_that_is_none_is_refused(admin: Browser) -> None:
    answer = await admin.send("/account", "/account/language", language="<b>")
    assert answer.status_code == 400
    assert "Choose a language" in answer.text or "choose a language" in answer.text
    assert "language" not in admin.http.cookies
