import pytest
from trio.testing import MockClock

from p2pacs.accounts.people import Account, list_accounts
from p2pacs.accounts.second_factor import enable, has_second_factor
from peer.accounts.rights import UserRole
from peer.accounts.trail import read_trail
from tests.p2pacs.pages.browser import PASSWORD, Browser, csrf_of
from tests.peer.pages.conftest import Hospital

OTHER = "another password, quite long"
FORMS = ["/users", "/users/change", "/users/second-factor", "/users/remove"]


@pytest.fixture
async def admin(browser: Browser) -> Browser:
    await browser.sign_in("administrator")
    return browser


async def accounts(hospital: Hospital) -> dict[str, str]:
    return {one.name: one.role for one in await hospital.database.run(list_accounts)}


async def test_an_account_from_beginning_to_end(admin: Browser, hospital: Hospital) -> None:
    async def send(what: str, **fields: str) -> None:
        answer = await admin.send("/users", what, current=PASSWORD, **fields)
        assert (answer.status_code, answer.headers["location"]) == (303, "/users"), answer.text

    await send("/users", name="rita", role="radiologist", password=PASSWORD)
    async with hospital.client() as http:
        rita = Browser(http)
        assert (await rita.sign_in("rita")).status_code == 303
        assert (await rita.get("/users")).status_code == 403
        await send("/users/change", name="rita", role="administrator")
        assert (await rita.get("/users")).status_code == 200
        await send("/users/change", name="rita", role="administrator", password=OTHER)
        assert (await rita.get("/users")).status_code == 303
        assert (await rita.sign_in("rita", OTHER)).status_code == 303
        await hospital.database.run(lambda c: enable(c, "rita", bytes(20), 0))
        page = await admin.get("/users")
        assert "second factor</span>" in page.text
        await send("/users/second-factor", name="rita")
        assert not await hospital.database.run(lambda c: has_second_factor(c, "rita"))
        await send("/users/remove", name="rita")
        assert (await rita.get("/")).status_code == 303
    trail = await hospital.database.run(lambda c: read_trail(c, 100))
    said = [(one.what, one.detail) for one in reversed(trail) if one.actor == "administrator"]
    assert said[1:] == [
        ("account added", "rita: radiologist"),
        ("role set", "rita: administrator"),
        ("password set", "rita"),
        ("second factor removed", "rita"),
        ("account removed", "rita"),
    ]
    assert "rita: radiologist" in (await admin.get("/users")).text


@pytest.mark.parametrize("role", [UserRole.RADIOLOGIST, UserRole.OPERATOR])
async def test_others_manage_nobody(browser: Browser, hospital: Hospital, role: UserRole) -> None:
    await browser.sign_in(role)
    page = await browser.get("/")
    assert "/users" not in page.text
    assert (await browser.get("/users")).status_code == 403
    before = await accounts(hospital)
    fields = {"csrf": csrf_of(page), "name": role, "role": "administrator", "password": OTHER}
    for form in FORMS:
        answer = await browser.http.post(form, data=fields)
        assert answer.status_code == 403
        assert "it needs administrator" in answer.text
    assert await accounts(hospital) == before


@pytest.mark.parametrize("form", FORMS)
async def test_forms_from_elsewhere_change_nothing(
    admin: Browser, hospital: Hospital, form: str
) -> None:
    before = await accounts(hospital)
    fields = {"name": "operator", "role": "administrator", "password": OTHER}
    assert (await admin.http.post(form, data=fields)).status_code == 403
    assert await accounts(hospital) == before


@pytest.mark.parametrize("form", FORMS)
async def test_who_finds_a_browser_open_makes_nobody_an_administrator(
    admin: Browser, hospital: Hospital, form: str
) -> None:
    before = await accounts(hospital)
    fields = {"name": "operator", "role": "administrator", "password": OTHER}
    if form == "/users":
        fields["name"] = "eve"
    for current in ({}, {"current": ""}, {"current": "guessed"}):
        answer = await admin.send("/users", form, **fields, **current)
        assert answer.status_code == 400
        assert "Your password is wrong" in answer.text
    assert await accounts(hospital) == before
    trail = await hospital.database.run(lambda c: read_trail(c, 10))
    assert [one.what for one in trail if not one.refused] == ["sign-in"]


@pytest.mark.parametrize(
    ("form", "fields", "status", "said"),
    [
        ("/users", {"name": "rita", "role": "boss", "password": OTHER}, 400, "A role is one of"),
        ("/users", {"name": "", "role": "operator", "password": OTHER}, 400, "1 to 64"),
        ("/users", {"name": "r" * 65, "role": "operator", "password": OTHER}, 400, "1 to 64"),
        ("/users", {"name": "r\x1b[m", "role": "operator", "password": OTHER}, 400, "printable"),
        ("/users", {"name": "rita", "role": "operator", "password": "short"}, 400, "12 to"),
        ("/users", {"name": "operator", "role": "operator", "password": OTHER}, 409, "already"),
        (
            "/users/change",
            {"name": "operator", "role": "operator", "password": "short"},
            400,
            "12 to",
        ),
        ("/users/change", {"name": "nobody", "role": "operator"}, 404, "no account"),
        ("/users/change", {"name": "operator", "role": ""}, 400, "A role is one of"),
        ("/users/change", {"name": "administrator", "role": "operator"}, 409, "add another one"),
        ("/users/remove", {"name": "administrator"}, 409, "add another one"),
        ("/users/remove", {}, 404, "no account"),
        ("/users/second-factor", {"name": "operator"}, 409, "no second factor"),
    ],
)
async def test_what_cannot_be(
    admin: Browser,
    hospital: Hospital,
    *,
    form: str,
    fields: dict[str, str],
    status: int,
    said: str,
) -> None:
    before = await accounts(hospital)
    answer = await admin.send("/users", form, current=PASSWORD, **fields)
    assert answer.status_code == status
    assert said in answer.text
    assert OTHER not in answer.text
    assert await accounts(hospital) == before


async def test_a_name_is_text_on_the_page(admin: Browser, hospital: Hospital) -> None:
    name = '"><script>alert(1)</script>'
    await admin.send(
        "/users", "/users", name=name, role="operator", password=OTHER, current=PASSWORD
    )
    assert "<script" not in (await admin.get("/users")).text
    assert Account(name, "operator") in await hospital.database.run(list_accounts)


async def test_ones_own_account_is_reached_from_every_page(browser: Browser) -> None:
    await browser.sign_in("radiologist")
    assert 'href="/account"' in (await browser.get("/")).text
    page = await browser.get("/account")
    assert page.status_code == 200
    assert "radiologist, radiologist" in page.text
    answer = await browser.send(
        "/account", "/account/password", current=PASSWORD, new=OTHER, again=OTHER
    )
    assert answer.status_code == 303


NASTY = [
    "",
    "x" * 3_000,
    "\x00",
    "a\x00b",
    "' OR 1=1 --",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "{{ 7 * 7 }}",
    "\N{ARABIC-INDIC DIGIT THREE}" * 6,
    "\N{RIGHT-TO-LEFT OVERRIDE}anna",
    "\N{SNOWMAN}" * 64,
    "administrator\r\nSet-Cookie: session=x",
]
FIELDS = ("name", "role", "password", "code", "half", "secret", "session", "new")
ANYWHERE = [
    *FORMS,
    "/login",
    "/login/code",
    "/account/password",
    "/account/session",
    "/account/second-factor",
    "/account/second-factor/remove",
    "/account/second-factor/codes",
]


@pytest.mark.parametrize("form", ANYWHERE)
async def test_nothing_that_is_typed_makes_a_page_fail(
    admin: Browser, hospital: Hospital, autojump_clock: MockClock, form: str
) -> None:
    before = await accounts(hospital)
    csrf = csrf_of(await admin.get("/account"))
    token = admin.http.cookies["session"]
    for nasty in NASTY:
        fields = dict.fromkeys(FIELDS, nasty) | {"csrf": csrf, "current": PASSWORD, "again": "!"}
        if form.startswith("/login"):
            fields["csrf"] = nasty
        answer = await admin.http.post(form, data=fields)
        assert 400 <= answer.status_code < 500
        assert "<script" not in answer.text
        assert ">49<" not in answer.text
        assert admin.http.cookies["session"] == token
    assert await accounts(hospital) == before
