import csv
import io
import re

import httpx
import pytest

from broker.members import registry
from broker.pages.registration.several_views import BODY
from broker.registration.member_sheet import BYTES
from broker.trail import audit
from p2pacs.identity.token import Token
from tests.broker.pages.conftest import Browser
from tests.p2pacs.pages.browser import csrf_of

PATH = "/members/several"
GOOD = "name,role,read\n=North <b>,hospital,Modality=CT\nR1,replica,\n"


async def preview(admin: Browser, text: str, *, pasted: bool = False) -> httpx.Response:
    """Send a file, or its text."""
    csrf = csrf_of(await admin.get(PATH))
    fields = {"csrf": csrf, "text": text if pasted else ""}
    files = {"file": ("members.csv", b"" if pasted else text.encode(), "text/csv")}
    return await admin.http.post(PATH, data=fields, files=files)


def register_form(page: httpx.Response) -> dict[str, str]:
    found = re.search(r'name="preview" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return {"preview": found[1]}


async def names(admin: Browser) -> list[str]:
    return [one.name for one in await admin.ground.database.run(registry.list_members)]


@pytest.mark.parametrize("pasted", [False, True])
async def test_all_of_a_file_are_registered_and_their_tokens_shown(
    admin: Browser, pasted: bool
) -> None:
    page = await preview(admin, GOOD, pasted=pasted)
    assert page.status_code == 200
    assert "=North &lt;b&gt;" in page.text
    assert await names(admin) == [], "nothing is made by looking"
    seen = register_form(page)
    answer = await admin.send(PATH, f"{PATH}/register", **seen)
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PATH}/tokens")
    assert await names(admin) == ["=North <b>", "R1"]
    for _ in range(2):  # a reload loses nothing
        shown = await admin.get(f"{PATH}/tokens")
        tokens = re.findall(r'<code class="mono">([^<]+)</code>', shown.text)
        assert len(tokens) == 2
    assert (await admin.send(PATH, f"{PATH}/register", **seen)).headers["location"] == (
        f"{PATH}/tokens"
    )
    assert await names(admin) == ["=North <b>", "R1"], "the second time makes nobody"
    file = await admin.send(PATH, f"{PATH}/tokens.csv")
    assert file.headers["content-disposition"] == 'attachment; filename="p2pacs-tokens.csv"'
    assert file.headers["cache-control"] == "no-store"
    rows = list(csv.reader(io.StringIO(file.text, newline="")))
    assert [row[0] for row in rows] == ["name", "'=North <b>", "R1"]
    assert [row[3] for row in rows[1:]] == tokens
    secret = Token.decode(tokens[0]).secret
    redeemed = await admin.ground.database.run(lambda c: registry.redeem(c, secret))
    assert redeemed.read == "Modality=CT"
    shown = await admin.get(f"{PATH}/tokens")
    assert tokens[0] not in shown.text
    assert tokens[1] in shown.text
    assert (await admin.send(PATH, f"{PATH}/tokens/away")).headers["location"] == "/members"
    assert "No token can be seen any more" in (await admin.get(f"{PATH}/tokens")).text
    trail = await admin.ground.database.run(audit.read)
    assert [entry.what for entry in trail].count("member registered") == 2


async def test_one_mistake_keeps_all_from_being_registered(admin: Browser) -> None:
    await admin.ground.register("north")
    page = await preview(admin, "name,role\nSouth,hospital\nNorth,king\n", pasted=True)
    assert page.status_code == 400
    assert "1 of 2 rows cannot be registered" in page.text
    assert "Is taken already" in page.text
    assert "Choose hospital or replica" in page.text
    assert 'name="preview"' not in page.text
    assert "South,hospital" in page.text, "what was pasted can be corrected"
    answer = await admin.send(PATH, f"{PATH}/register", preview="guessed")
    assert answer.status_code == 409
    assert await names(admin) == ["north"]


async def test_a_name_that_was_taken_meanwhile_gives_up_all(admin: Browser) -> None:
    seen = register_form(await preview(admin, GOOD))
    await admin.ground.register("R1")
    answer = await admin.send(PATH, f"{PATH}/register", **seen)
    assert answer.status_code == 409
    assert "Nobody was registered." in answer.text
    assert await names(admin) == ["R1"]
    assert "No token" in (await admin.get(f"{PATH}/tokens")).text


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "Choose a file, or paste its text."), ("name\nNorth", "these are missing: role")],
)
async def test_what_is_no_such_file(admin: Browser, text: str, said: str) -> None:
    page = await preview(admin, text, pasted=True)
    assert page.status_code == 400
    assert said in page.text


async def test_a_file_and_a_text_are_one_too_many(admin: Browser) -> None:
    csrf = csrf_of(await admin.get(PATH))
    files = {"file": ("m.csv", GOOD.encode(), "text/csv")}
    page = await admin.http.post(PATH, data={"csrf": csrf, "text": GOOD}, files=files)
    assert page.status_code == 400
    assert "not both" in page.text


async def test_files_are_bounded_and_only_here(admin: Browser) -> None:
    page = await preview(admin, "x" * (BYTES + 1))
    assert page.status_code == 400
    assert "longer than 256 KiB" in page.text
    assert (await preview(admin, "x" * BODY)).status_code == 413
    csrf = csrf_of(await admin.get(PATH))
    answer = await admin.http.post("/members", data={"csrf": csrf, "name": "x" * 40_000})
    assert answer.status_code == 413
