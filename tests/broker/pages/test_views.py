import html
import re

import pytest

from broker.members import audit, registry
from p2pacs.identity.token import Token
from p2pacs.ids import StudyId
from tests.broker.pages.conftest import Browser

NORTH = {
    "name": "North <General>",
    "role": "hospital",
    "uplink": "800kbit",
    "downlink": "3mbit",
    "read": "Modality=CT",
}


async def _register(admin: Browser, **fields: str) -> tuple[registry.Member, str]:
    answer = await admin.send("/members/new", "/members", **(NORTH | fields))
    assert answer.status_code == 200, answer.text
    token = re.search(r'<code [^>]*id="token"[^>]*>([^<]+)</code>', answer.text)
    assert token is not None
    assert "p2pacs peer join /var/lib/p2pacs/peer --listen" in answer.text
    name = (NORTH | fields)["name"]
    member = await admin.ground.database.run(lambda c: registry.find_member(c, name))
    return member, token[1]


async def test_registering_shows_the_token_once(admin: Browser) -> None:
    member, text = await _register(admin)
    token = Token.decode(text)
    assert token.endpoints == ("127.0.0.1:4710",)
    assert token.broker == admin.ground.identity.address
    redeemed = await admin.ground.database.run(lambda c: registry.redeem(c, token.secret))
    assert redeemed.address == member.address
    assert (member.uplink, member.downlink, member.read) == (800_000, 3_000_000, "Modality=CT")
    for path in ("/members", f"/members/{member.address}", "/audit"):
        page = await admin.get(path)
        assert "North &lt;General&gt;" in page.text
        assert text not in page.text


async def test_everything_wrong_is_named_at_once_and_what_was_typed_stays(admin: Browser) -> None:
    answer = await admin.send(
        "/members/new",
        "/members",
        name="North",
        role="king",
        uplink="fast",
        downlink="3mbit",
        read="Modality=",
    )
    assert answer.status_code == 400
    text = html.unescape(answer.text)
    assert "Not a rate: 'fast'" in text
    assert "Read rule, position 10" in text
    assert "Choose hospital or replica" in text
    assert 'value="North"' in text
    assert text.count('aria-invalid="true"') == 2
    assert await admin.ground.database.run(registry.list_members) == []


@pytest.mark.parametrize(("name", "said"), [("north", "There is a member"), ("x" * 65, "1 to 64")])
async def test_names_that_cannot_be(admin: Browser, name: str, said: str) -> None:
    await _register(admin, name="North")
    answer = await admin.send("/members/new", "/members", **(NORTH | {"name": name}))
    assert answer.status_code == 400
    assert said in answer.text


async def test_a_new_token_replaces_the_old(admin: Browser) -> None:
    member, first = await _register(admin)
    page = f"/members/{member.address}"
    answer = await admin.send(page, f"{page}/token")
    token = re.search(r'id="token"[^>]*>([^<]+)<', answer.text)
    assert token is not None
    assert token[1] != first


async def test_changing_what_a_member_may_read(admin: Browser) -> None:
    member, _ = await _register(admin)
    page = f"/members/{member.address}"
    answer = await admin.send(page, f"{page}/read", read="Modality=")
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert 'value="Modality="' in answer.text
    assert (await admin.send(page, f"{page}/read", read="all")).headers["location"] == page
    changed = await admin.ground.database.run(lambda c: registry.get_member(c, member.address))
    assert (changed.read, changed.read_version) == ("all", 1)


async def test_revoking(admin: Browser) -> None:
    member, _ = await _register(admin)
    page = f"/members/{member.address}"
    assert (await admin.send(page, f"{page}/revoke")).headers["location"] == page
    assert "revoked" in (await admin.get("/members")).text
    shown = (await admin.get(page)).text
    assert "/revoke" not in shown
    answer = await admin.send("/members", f"{page}/token")
    assert answer.status_code == 403
    assert "another name" in answer.text
    whats = [entry.what for entry in await admin.ground.database.run(audit.read)]
    assert whats == ["member revoked", "member registered", "sign-in"]


@pytest.mark.parametrize("path", ["/members/fd00::1", "/members/10.0.0.1", "/members/x"])
async def test_nobody_there(admin: Browser, path: str) -> None:
    assert (await admin.get(path)).status_code == 404
    assert (await admin.send("/members", f"{path}/revoke")).status_code == 404
    assert (await admin.send("/members", f"{path}/read", read="all")).status_code == 404


async def test_the_audit_trail_is_searched_without_uids_in_urls(admin: Browser) -> None:
    member, _ = await _register(admin)
    entries = [
        audit.Entry("study granted", member.name, member.address, StudyId(bytes(16)), "1.2.3"),
        audit.Entry("study granted", member.name, member.address, StudyId(b"1" * 16), "1.2.4"),
    ]
    await admin.ground.database.run(lambda c: audit.record(c, *entries))
    answer = await admin.send("/audit", "/audit", member="", uid="1.2.3")
    assert ">1.2.3<" in answer.text
    assert "1.2.4" not in answer.text
    answer = await admin.send("/audit", "/audit", member=member.name, uid="")
    assert ">1.2.4<" in answer.text
    assert "sign-in" not in answer.text
    assert not re.search(r'href="[^"]*1\.2\.', answer.text)


async def test_pages_work_for_everybody(admin: Browser) -> None:
    """Every input has a label, every table its headers, every page one heading of its own."""
    member, _ = await _register(admin)
    for path in ("/members", "/members/new", f"/members/{member.address}", "/audit"):
        text = (await admin.get(path)).text
        assert text.count("<h1>") == 1
        assert 'href="#main"' in text
        for name in re.findall(r'<input id="([^"]+)"', text):
            assert f'<label for="{name}">' in text
        if "<table>" in text:
            assert '<th scope="col">' in text
