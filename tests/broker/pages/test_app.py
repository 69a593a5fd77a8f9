import pytest

from broker.config import WebSettings
from broker.members import audit
from p2pacs.accounts.passwords import set_password
from tests.broker.conftest import Ground
from tests.broker.pages.conftest import PASSWORD, Browser, client
from tests.p2pacs.accounts.conftest import CHEAP


async def test_behind_a_proxy_everybody_has_an_address(ground: Ground) -> None:
    web = WebSettings.model_validate(
        {"listen": "127.0.0.1:1", "hosts": ["broker"], "proxies": ["10.0.0.1"]}
    )
    await ground.database.run(lambda c: set_password(c, "admin", PASSWORD, CHEAP))
    async with client(ground, web) as http:
        http.headers["X-Forwarded-For"] = "203.0.113.9"
        assert (await Browser(http, ground).sign_in(password="wrong")).status_code == 401
    async with client(ground, web, address="10.0.0.2") as http:  # no proxy of ours
        http.headers["X-Forwarded-For"] = "203.0.113.9"
        assert (await Browser(http, ground).sign_in(password="wrong")).status_code == 401
    entries = await ground.database.run(audit.read)
    assert [entry.detail for entry in entries] == [
        "from 10.0.0.2: wrong name or password",
        "from 203.0.113.9: wrong name or password",
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
