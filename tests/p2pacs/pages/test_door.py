"""The door as browsers come to it, with pages of no program behind it."""

from collections import Counter

import pytest
import trio
from trio.testing import MockClock

from p2pacs.accounts.pace import OF_SOURCE
from p2pacs.accounts.people import remove_account, set_role
from p2pacs.limits import NAME
from p2pacs.settings import WebSettings
from tests.p2pacs.pages.browser import PASSWORD, Browser, csrf_of
from tests.p2pacs.pages.conftest import Site


async def test_strangers_are_sent_to_sign_in(browser: Browser, site: Site) -> None:
    for path in ("/", "/change", "/nowhere"):
        answer = await browser.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    for path in ("/change", "/logout", "/nowhere"):
        answer = await browser.http.post(path, data={"csrf": "x"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert site.changed == []


@pytest.mark.parametrize("path", ["/change", "/logout"])
@pytest.mark.parametrize("fields", [{}, {"csrf": ""}, {"csrf": "guessed"}])
async def test_forms_from_elsewhere_change_nothing(
    admin: Browser, site: Site, path: str, fields: dict[str, str]
) -> None:
    answer = await admin.http.post(path, data=fields)
    assert answer.status_code == 403
    assert "no longer valid" in answer.text
    assert site.changed == []


async def test_the_form_of_another_session_changes_nothing(admin: Browser, site: Site) -> None:
    await site.add("anna")
    async with site.client() as http:
        anna = Browser(http)
        await anna.sign_in("anna")
        theirs = csrf_of(await anna.get("/"))
    answer = await admin.http.post("/change", data={"csrf": theirs})
    assert answer.status_code == 403
    assert site.changed == []


async def test_signing_in_and_out(browser: Browser) -> None:
    answer = await browser.sign_in()
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("session="))
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    assert (await browser.get("/")).status_code == 200
    assert (await browser.get("/login")).headers["location"] == "/"
    old = dict(browser.http.cookies)
    answer = await browser.send("/", "/logout")
    assert answer.headers["location"] == "/login"
    browser.http.cookies.update(old)
    assert (await browser.get("/")).status_code == 303


async def test_a_session_that_somebody_else_chose_is_none(site: Site) -> None:
    """Fixation: neither a made-up cookie nor another account's becomes the session of who signs
    in."""
    await site.add("eve")
    async with site.client() as http:
        await Browser(http).sign_in("eve")
        theirs = http.cookies["session"]
    for chosen in ("chosen", theirs):
        async with site.client() as http:
            csrf = csrf_of(await http.get("/login"))
            http.cookies.set("session", chosen, domain="site.local")
            fields = {"csrf": csrf, "name": "admin", "password": PASSWORD}
            answer = await http.post("/login", data=fields)
            assert answer.status_code == 303
            assert http.cookies["session"] != chosen
            http.cookies.set("session", chosen, domain="site.local")
            assert (await http.get("/peek")).text != "admin"


async def test_who_has_no_right_is_told_what_it_needs(browser: Browser, site: Site) -> None:
    await site.add("rev", "auditor")
    await browser.sign_in("rev")
    answer = await browser.get("/")
    assert "rev, auditor" in answer.text
    for refused in (
        await browser.get("/change"),
        await browser.http.post("/change", data={"csrf": csrf_of(answer)}),
    ):
        assert refused.status_code == 403
        assert "it needs administrator" in refused.text
    assert site.changed == []


async def test_a_role_counts_from_the_next_request_on(admin: Browser, site: Site) -> None:
    await site.add("other")
    assert (await admin.send("/", "/change")).text == "changed"
    await site.database.run(lambda c: set_role(c, "admin", "auditor"))
    assert (await admin.send("/", "/change")).status_code == 403
    await site.database.run(lambda c: set_role(c, "admin", "a role of another version"))
    assert (await admin.get("/")).status_code == 403
    await site.database.run(lambda c: remove_account(c, "admin"))
    assert (await admin.get("/")).status_code == 303


async def test_a_look_at_who_is_signed_in(browser: Browser) -> None:
    assert (await browser.get("/peek")).text == "nobody"
    await browser.sign_in()
    assert (await browser.get("/peek")).text == "admin"


@pytest.mark.parametrize("tls", ["auto", "off"])
async def test_cookies_are_secure_under_tls_here_or_at_a_proxy(site: Site, tls: str) -> None:
    site.settings = WebSettings.model_validate({"listen": "192.168.1.4:8443", "tls": tls})
    async with site.client() as http:
        cookie = (await http.get("/login")).headers["set-cookie"]
    assert cookie.startswith("__Host-form=")
    assert "Secure" in cookie


async def test_pages_on_two_ports_of_a_host_sign_nobody_out_of_each_other(site: Site) -> None:
    """Browsers send a host's cookies to all of its ports."""
    async with site.client() as http:
        await Browser(http).sign_in()
        site.realm = "7f"
        async with site.client() as other:
            other.cookies = http.cookies
            assert (await other.get("/")).status_code == 303
            await Browser(other).sign_in()
            assert {"session", "session-7f"} <= set(other.cookies)
        assert (await http.get("/")).status_code == 200


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
    browser: Browser, site: Site, autojump_clock: MockClock
) -> None:
    for _ in range(OF_SOURCE.free + 1):
        assert (await browser.sign_in(password="wrong")).status_code == 401
    assert (await browser.sign_in()).status_code == 303
    assert [(one.account, one.failures, one.detail) for one in site.told] == [
        ("admin", 1, "from 10.0.0.1: wrong name or password"),
        ("admin", 0, "from 10.0.0.1"),
    ]


async def test_a_flood_of_sign_ins_leaves_neither_long_trail_nor_passwords(
    browser: Browser, site: Site, autojump_clock: MockClock
) -> None:
    csrf = csrf_of(await browser.get("/login"))
    typed = "my secret passphrase " * 1400
    statuses = Counter[int]()

    async def post() -> None:
        fields = {"csrf": csrf, "name": typed, "password": "x"}
        answer = await browser.http.post("/login", data=fields)
        statuses[answer.status_code] += 1
        assert len(answer.text) < 5000

    async with trio.open_nursery() as nursery:
        for _ in range(300):
            nursery.start_soon(post)
    assert set(statuses) == {401, 429}
    assert statuses.total() == 300
    assert 1 <= len(site.told) <= 3
    for one in site.told:
        assert one.account == "-"
        assert "secret" not in one.detail


async def test_a_session_and_a_known_browser_stay_while_a_stranger_guesses(
    admin: Browser, site: Site, autojump_clock: MockClock
) -> None:
    assert {"session", "browser"} <= set(admin.http.cookies)
    async with site.client() as http:  # from the same address: a proxy's
        stranger = Browser(http)
        for _ in range(30):
            assert (await stranger.sign_in(password="wrong")).status_code == 401
    assert (await admin.get("/")).status_code == 200
    await admin.send("/", "/logout")
    began = trio.current_time()
    assert (await admin.sign_in()).status_code == 303
    assert trio.current_time() - began < 1


async def test_addresses_of_those_who_are_signed_in_are_known(browser: Browser, site: Site) -> None:
    assert (await browser.sign_in(password="wrong")).status_code == 401
    assert site.came == []
    await browser.sign_in()
    await browser.get("/")
    assert set(site.came) == {"10.0.0.1"}


async def test_settings_say_when_a_session_ends(site: Site) -> None:
    site.settings = WebSettings.model_validate({"idle_minutes": 2, "session_hours": 3})
    door = site.door()
    assert (door.sessions.idle, door.sessions.longest) == (120_000, 3 * 3_600_000)


async def test_a_form_is_good_until_somebody_signs_in_with_it(browser: Browser) -> None:
    """Whoever has it open in two windows can use either; afterwards it is worth nothing."""
    one, other = [csrf_of(await browser.get("/login")) for _ in range(2)]
    assert one == other
    fields = {"csrf": one, "name": "admin", "password": PASSWORD}
    assert (await browser.http.post("/login", data=fields)).status_code == 303
    assert "form" not in browser.http.cookies
    assert (await browser.http.post("/login", data=fields)).status_code == 403


async def test_a_name_is_shown_again_as_far_as_it_is_one(browser: Browser) -> None:
    answer = await browser.sign_in('"><script>' + "x" * 3 * NAME, "wrong")
    assert "<script>" not in answer.text
    assert "x" * (NAME - 10) in answer.text
    assert "x" * NAME not in answer.text


async def test_who_is_not_signed_in_chooses_a_language_on_the_page(browser: Browser) -> None:
    browser.http.headers["Accept-Language"] = "es"
    page = await browser.get("/login")
    assert '<html lang="es">' in page.text
    assert '<a href="/login?language=es" lang="es" hreflang="es" aria-current="true">' in page.text
    page = await browser.get("/login?language=de")
    assert '<html lang="de">' in page.text
    assert page.headers["Content-Language"] == "de"
    assert '<html lang="de">' in (await browser.get("/login")).text
    assert '<html lang="de">' in (await browser.get("/login?language=tlh")).text
    await browser.sign_in()
    assert '<html lang="de">' in (await browser.get("/account")).text


async def test_refusals_come_in_the_language_of_the_browser(browser: Browser) -> None:
    answer = await browser.http.get("/", headers={"Host": "evil.example", "Accept-Language": "de"})
    assert answer.status_code == 421
    assert '<html lang="de">' in answer.text
