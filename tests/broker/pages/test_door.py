"""The door as browsers come to it: the pages behind it are in test_views and test_member_views."""

import re
from collections import Counter
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from broker.config import WebSettings
from broker.members import audit
from broker.pages.door import Door
from p2pacs.accounts.pace import OF_SOURCE
from p2pacs.accounts.passwords import set_password
from p2pacs.limits import NAME
from p2pacs.web.pages import Pages
from tests.broker.conftest import Ground
from tests.broker.pages.conftest import PASSWORD, Browser, client
from tests.p2pacs.accounts.conftest import CHEAP

PAGES = ["/members", "/members/new", "/members/fd00::1", "/audit"]
FORMS = [
    "/members",
    "/members/fd00::1/token",
    "/members/fd00::1/read",
    "/members/fd00::1/revoke",
    "/audit",
    "/logout",
]


@pytest.mark.parametrize("path", ["/", *PAGES])
async def test_strangers_are_sent_to_sign_in(browser: Browser, path: str) -> None:
    answer = await browser.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"] in ("/login", "/members")


@pytest.mark.parametrize("path", FORMS)
async def test_strangers_change_nothing(browser: Browser, path: str) -> None:
    answer = await browser.http.post(path, data={"name": "x"})
    assert answer.headers["location"] == "/login"


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("fields", [{}, {"csrf": ""}, {"csrf": "guessed"}])
async def test_forms_from_elsewhere_change_nothing(
    admin: Browser, path: str, fields: dict[str, str]
) -> None:
    answer = await admin.http.post(path, data=fields)
    assert answer.status_code == 403
    assert "no longer valid" in answer.text


async def test_signing_in_and_out(browser: Browser) -> None:
    answer = await browser.sign_in()
    assert answer.status_code == 303
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("session="))
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    assert (await browser.get("/members")).status_code == 200
    assert (await browser.get("/login")).headers["location"] == "/members"
    old = dict(browser.http.cookies)
    answer = await browser.send("/members", "/logout")
    assert answer.headers["location"] == "/login"
    browser.http.cookies.update(old)
    assert (await browser.get("/members")).status_code == 303


@pytest.mark.parametrize("tls", ["auto", "off"])
async def test_cookies_are_secure_under_tls_here_or_at_a_proxy(ground: Ground, tls: str) -> None:
    web = WebSettings.model_validate(
        {"listen": "192.168.1.4:8443", "tls": tls, "hosts": ["broker"]}
    )
    async with client(ground, web) as http:
        cookie = (await http.get("/login")).headers["set-cookie"]
    assert cookie.startswith("__Host-form=")
    assert "Secure" in cookie


@pytest.mark.parametrize("name", ["admin", "nobody", "' OR 1=1 --"])
async def test_wrong_passwords_and_unknown_names_look_alike(browser: Browser, name: str) -> None:
    answer = await browser.sign_in(name, "wrong")
    assert answer.status_code == 401
    assert "The name or the password is wrong." in answer.text
    assert 'role="alert"' in answer.text
    assert not any(c.startswith("session=") for c in answer.headers.get_list("set-cookie"))


async def test_a_sign_in_form_from_elsewhere_is_refused(browser: Browser) -> None:
    fields = {"name": "admin", "password": PASSWORD, "csrf": "guessed"}
    answer = await browser.http.post("/login", data=fields)
    assert answer.status_code == 403


async def test_after_five_wrong_passwords_the_right_one_still_gets_in(
    browser: Browser, autojump_clock: MockClock
) -> None:
    for _ in range(OF_SOURCE.free + 1):
        assert (await browser.sign_in(password="wrong")).status_code == 401
    assert (await browser.sign_in()).status_code == 303
    entries = await browser.ground.database.run(audit.read)
    assert [(entry.actor, entry.outcome, entry.detail) for entry in entries] == [
        ("admin", "done", "from 10.0.0.1"),
        ("admin", "refused", "from 10.0.0.1: wrong name or password"),
    ]


async def test_a_flood_of_sign_ins_leaves_neither_long_trail_nor_passwords(
    browser: Browser, autojump_clock: MockClock
) -> None:
    page = await browser.get("/login")
    csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert csrf is not None
    typed = "my secret passphrase " * 1400
    statuses = Counter[int]()

    async def post() -> None:
        fields = {"csrf": csrf[1], "name": typed, "password": "x"}
        answer = await browser.http.post("/login", data=fields)
        statuses[answer.status_code] += 1
        assert len(answer.text) < 5000

    async with trio.open_nursery() as nursery:
        for _ in range(300):
            nursery.start_soon(post)
    assert set(statuses) == {401, 429}
    assert statuses.total() == 300
    entries = await browser.ground.database.run(audit.read)
    assert 1 <= len(entries) <= 3
    for entry in entries:
        assert entry.actor == "-"
        assert "secret" not in entry.detail


async def test_a_session_and_a_known_browser_stay_while_a_stranger_guesses(
    admin: Browser, autojump_clock: MockClock
) -> None:
    cookies = dict(admin.http.cookies)
    assert {"session", "browser"} <= set(cookies)
    async with client(admin.ground) as http:  # from the same address: a proxy's
        stranger = Browser(http, admin.ground)
        for _ in range(30):
            assert (await stranger.sign_in(password="wrong")).status_code == 401
    assert (await admin.get("/members")).status_code == 200
    await admin.send("/members", "/logout")
    began = trio.current_time()
    assert (await admin.sign_in()).status_code == 303
    assert trio.current_time() - began < 1


async def test_addresses_of_those_who_are_signed_in_are_known(ground: Ground) -> None:
    came: list[str] = []
    await ground.database.run(lambda c: set_password(c, "admin", PASSWORD, CHEAP))
    async with client(ground, came=came.append) as http:
        browser = Browser(http, ground)
        assert (await browser.sign_in(password="wrong")).status_code == 401
        assert came == []
        await browser.sign_in()
        await browser.get("/members")
    assert set(came) == {"10.0.0.1"}


async def test_settings_say_when_a_session_ends(ground: Ground) -> None:
    web = WebSettings.model_validate(
        {"listen": "127.0.0.1:1", "idle_minutes": 2, "session_hours": 3}
    )
    door = Door.of(ground.database, Pages(Path()), web, CHEAP, lambda _address: None)
    assert (door.sessions.idle, door.sessions.longest) == (120_000, 3 * 3_600_000)


async def test_a_form_is_good_until_somebody_signs_in_with_it(browser: Browser) -> None:
    """Whoever has it open in two windows can use either; afterwards it is worth nothing."""
    one, other = [await browser.get("/login") for _ in range(2)]
    csrf = [re.search(r'name="csrf" value="([^"]+)"', page.text) for page in (one, other)]
    assert csrf[0] is not None
    assert csrf[1] is not None
    assert csrf[0][1] == csrf[1][1]
    fields = {"csrf": csrf[0][1], "name": "admin", "password": PASSWORD}
    assert (await browser.http.post("/login", data=fields)).status_code == 303
    assert "form" not in browser.http.cookies
    assert (await browser.http.post("/login", data=fields)).status_code == 403


async def test_a_name_is_shown_again_as_far_as_it_is_one(browser: Browser) -> None:
    answer = await browser.sign_in('"><script>' + "x" * 3 * NAME, "wrong")
    assert "<script>" not in answer.text
    assert "x" * (NAME - 10) in answer.text
    assert "x" * NAME not in answer.text
