import re

import pytest

from broker.members import registry
from broker.trail import audit
from p2pacs.accounts.people import add_account
from tests.broker.conftest import Ground
from tests.broker.pages.conftest import PASSWORD, Browser
from tests.broker.pages.registration.test_views import register
from tests.p2pacs.accounts.conftest import CHEAP
from tests.p2pacs.pages.browser import csrf_of

STUDY = f"/studies/{'00' * 16}"
PAGES = [
    "/access",
    "/settings",
    "/members",
    "/members/new",
    "/members/fd00::1",
    "/members/fd00::1/studies",
    "/audit",
    "/studies",
    STUDY,
    "/transfers",
    "/live/transfers",
    "/traffic",
    "/traffic.csv",
    "/health",
]
SEVERAL = "/members/several"
OTHERS = ("/access", "/settings", "/audit")
CHANGING = [
    SEVERAL,
    f"{SEVERAL}/register",
    f"{SEVERAL}/tokens.csv",
    f"{SEVERAL}/tokens/away",
]
LOOKING = ["/access/study", "/access/rule", "/audit", "/audit/export", "/studies"]
FORMS = [
    *CHANGING,
    "/members",
    "/members/fd00::1/token",
    "/members/fd00::1/token/away",
    "/members/fd00::1/read",
    "/members/fd00::1/correct",
    "/members/fd00::1/delete",
    "/members/fd00::1/revoke",
    f"{STUDY}/publish",
    *LOOKING,
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


async def test_an_auditor_sees_everything_and_changes_nothing(
    browser: Browser, ground: Ground
) -> None:
    member, _ = await ground.register("North")
    await ground.database.run(lambda c: add_account(c, "rev", PASSWORD, "auditor", CHEAP))
    await browser.sign_in("rev")
    one = f"/members/{member.address}"
    for path in ("/members", one, f"{one}/studies", *OTHERS):
        page = await browser.get(path)
        assert page.status_code == 200
        assert "rev (auditor)" in page.text
        forms = set(re.findall(r'method="post" action="([^"]+)"', page.text))
        assert forms <= {"/logout", *LOOKING}, "what an auditor cannot do is not offered"
    assert (await browser.send("/audit", "/audit", member="North")).status_code == 303
    before = await ground.database.run(registry.list_members)
    csrf = csrf_of(await browser.get("/audit"))
    for form in FORMS:
        if form not in (*LOOKING, "/logout"):
            path = form.replace("/members/fd00::1", one)
            answer = await browser.http.post(path, data={"csrf": csrf, "read": "none"})
            assert answer.status_code == 403
            assert "it needs administrator" in answer.text
    for path in ("/members/new", f"{one}/token", SEVERAL, f"{SEVERAL}/tokens"):
        assert (await browser.get(path)).status_code == 403
    assert await ground.database.run(registry.list_members) == before


async def test_the_trail_tells_of_changes_of_ones_own_account(
    admin: Browser, ground: Ground
) -> None:
    assert 'href="/account"' in (await admin.get("/members")).text
    new = {"new": "another password, longer", "again": "another password, longer"}
    answer = await admin.send("/account", "/account/password", current=PASSWORD, **new)
    assert answer.status_code == 303
    entry = (await ground.database.run(audit.read))[0]
    assert (entry.what, entry.actor) == ("password changed", "admin")


async def test_the_trail_has_sign_ins(browser: Browser, ground: Ground) -> None:
    await browser.sign_in(password="wrong")
    await browser.sign_in()
    entries = await ground.database.run(audit.read)
    assert [(entry.actor, entry.outcome, entry.detail) for entry in entries] == [
        ("admin", "done", "from 10.0.0.1"),
        ("admin", "refused", "from 10.0.0.1: wrong name or password"),
    ]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 421),
        ("evil.example:8443", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
        ("broker", 200),
        ("BROKER.:8443", 200),
        ("localhost:8443", 200),
        ("127.0.0.1:8443", 200),
        ("[::1]:8443", 200),
    ],
)
async def test_only_names_of_ours_are_answered(browser: Browser, host: str, status: int) -> None:
    answer = await browser.http.get("/login", headers={"Host": host})
    assert answer.status_code == status
    assert ("web.hosts" in answer.text) is (status == 421)


async def test_headers_and_error_pages(admin: Browser) -> None:
    for path, status in (("/members", 200), ("/nowhere", 404), ("/members/x", 404)):
        answer = await admin.get(path)
        assert answer.status_code == status
        assert "script-src" not in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert "<script" not in answer.text
        assert "style=" not in answer.text
    answer = await admin.http.post("/members", content=b"x" * 40_000)
    assert answer.status_code == 403  # not from one of these pages


async def test_files_in_place_of_texts_are_no_texts(admin: Browser) -> None:
    answer = await admin.http.post("/members", files={"csrf": b"x", "name": b"y"})
    assert answer.status_code == 403


async def test_half_characters_are_refused_at_the_door_and_behind_it(admin: Browser) -> None:
    parts = "".join(
        f'--B\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n\\ud800x\r\n'
        for name in ("csrf", "name", "password")
    )
    headers = {"Content-Type": "multipart/form-data; boundary=B; charset=unicode_escape"}
    for path in ("/login", "/members"):
        answer = await admin.http.post(path, content=f"{parts}--B--\r\n", headers=headers)
        assert answer.status_code == 400
        assert "characters that are none" in answer.text


async def test_pages_work_for_everybody(admin: Browser) -> None:
    """Every input has a label, every table its headers, every page one heading of its own."""
    member, _ = await register(admin)
    page = f"/members/{member.address}"
    for path in ("/members", "/members/new", SEVERAL, page, f"{page}/token", *OTHERS):
        text = (await admin.get(path)).text
        assert text.count("<h1>") == 1
        assert 'href="#main"' in text
        for name in re.findall(r'<input id="([^"]+)"', text):
            assert f'<label for="{name}">' in text
        if "<table>" in text:
            assert '<th scope="col">' in text
            assert "<td>" not in text  # narrow screens show a heading beside each cell
