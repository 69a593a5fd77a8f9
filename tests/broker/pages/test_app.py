import pytest

from broker import lockout
from broker.accounts import sessions
from broker.config import WebSettings
from broker.database.db import now
from broker.members import audit
from tests.broker.conftest import Ground
from tests.broker.pages.conftest import PASSWORD, Browser, client

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
    web = WebSettings.model_validate({"listen": "192.168.1.4:8443", "tls": tls})
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


async def test_locked_out_even_with_the_right_password_and_after_a_restart(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(lockout.SIGN_IN.free):
        assert (await browser.sign_in(password="wrong")).status_code == 401
    answer = await browser.sign_in()
    assert answer.status_code == 429
    assert "try again in" in answer.text
    async with client(browser.ground, address="10.0.0.2") as http:
        assert (await Browser(http, browser.ground).sign_in()).status_code == 303
    async with client(browser.ground) as http:  # an application anew: the database remembers
        again = Browser(http, browser.ground)
        assert (await again.sign_in()).status_code == 429
        later = now() + 31_000
        monkeypatch.setattr(lockout, "now", lambda: later)
        assert (await again.sign_in()).status_code == 303
    entries = await browser.ground.database.run(audit.read)
    told = [(entry.actor, entry.outcome, entry.detail) for entry in entries]
    assert ("admin", "refused", "from 10.0.0.1: locked out") in told
    assert ("admin", "done", "from 10.0.0.2") in told


@pytest.mark.parametrize(("minutes", "signed_in"), [(14, True), (16, False)])
async def test_an_idle_session_ends(
    admin: Browser, monkeypatch: pytest.MonkeyPatch, minutes: int, signed_in: bool
) -> None:
    later = now() + minutes * 60_000
    monkeypatch.setattr(sessions, "now", lambda: later)
    assert ((await admin.get("/members")).status_code == 200) is signed_in


async def test_a_session_in_use_ends_in_the_end(
    admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = now()
    monkeypatch.setattr(sessions, "now", lambda: clock)
    for _ in range(8 * 6 - 1):
        clock += 10 * 60_000
        assert (await admin.get("/members")).status_code == 200
    clock += 11 * 60_000
    assert (await admin.get("/members")).status_code == 303


async def test_headers_and_error_pages(admin: Browser) -> None:
    for path, status in (("/members", 200), ("/nowhere", 404), ("/members/x", 404)):
        answer = await admin.get(path)
        assert answer.status_code == status
        assert "script-src" not in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert "<script" not in answer.text
        assert "style=" not in answer.text
    answer = await admin.http.post("/members", content=b"x" * 40_000)
    assert answer.status_code in (400, 403, 413)


async def test_files_in_place_of_texts_are_no_texts(admin: Browser) -> None:
    answer = await admin.http.post("/members", files={"csrf": b"x", "name": b"y"})
    assert answer.status_code == 403
