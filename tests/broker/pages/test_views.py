import html
import re

import httpx
import pytest
from sqlalchemy import Connection

from broker.database.db import now
from broker.database.pacs_state import note_look
from broker.members import audit, presence, registry
from p2pacs.errors import PacsUnreachableError
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


async def register(admin: Browser, **fields: str) -> tuple[registry.Member, str]:
    """A member registered by the form, and the token on the page that follows."""
    answer = await admin.send("/members/new", "/members", **(NORTH | fields))
    assert answer.status_code == 303, answer.text
    name = (NORTH | fields)["name"]
    member = await admin.ground.database.run(lambda c: registry.find_member(c, name))
    assert answer.headers["location"] == f"/members/{member.address}/token"
    return member, token_on(await admin.get(answer.headers["location"]))


def token_on(page: httpx.Response) -> str:
    token = re.search(r'<code [^>]*id="token"[^>]*>([^<]+)</code>', page.text)
    assert token is not None, page.text
    return token[1]


async def join(admin: Browser, member: registry.Member, token: str) -> None:
    """The member joins with its token."""

    def work(connection: Connection) -> None:
        registry.redeem(connection, Token.decode(token).secret)
        registry.join(
            connection,
            member.address,
            key_hash=b"k" * 32,
            box_key=b"b" * 32,
            endpoints=[],
            certificate_expires=now() + 10**9,
        )

    await admin.ground.database.run(work)


async def test_registering_goes_on_to_the_token(admin: Browser) -> None:
    member, text = await register(admin)
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


@pytest.mark.parametrize(("role", "read"), [("hospital", "all"), ("replica", "none")])
async def test_the_blank_form_gives_a_role_what_is_usual(
    admin: Browser, role: str, read: str
) -> None:
    member, _ = await register(admin, role=role, read="")
    assert member.read == read


async def test_the_members_page_says_how_the_pacs_is(admin: Browser) -> None:
    me, run = admin.ground.identity.address, admin.ground.database.run
    assert "was not looked through yet" in (await admin.get("/members")).text
    await run(lambda c: note_look(c, me, None, 4))
    page = (await admin.get("/members")).text
    assert "dimse://PACS@127.0.0.1:104 answers. 4 studies are in the catalogue" in page
    assert 'class="note bad"' not in page
    await run(lambda c: note_look(c, me, PacsUnreachableError("it <hangs>"), None))
    page = (await admin.get("/members")).text
    assert 'class="note bad"' in page
    assert "does not answer as it should" in page
    assert "it &lt;hangs&gt;. Check that it runs" in page


async def test_who_is_linked_is_seen_now_and_a_line_may_have_no_limit(admin: Browser) -> None:
    member, _ = await register(admin, uplink="", downlink="")
    await join(admin, member, token_on(await admin.get(f"/members/{member.address}/token")))
    me, run = admin.ground.identity.address, admin.ground.database.run
    await run(lambda c: presence.seen(c, me, member.address, linked=True))
    page = (await admin.get("/members")).text
    assert '<td data-label="Last seen (UTC)" class="nowrap">now</td>' in page
    assert "no limit / no limit" in page
    page = (await admin.get(f"/members/{member.address}")).text
    assert "<dt>Last seen</dt><dd>now: it is linked</dd>" in page
    assert "<dt>Uplink</dt><dd>no limit</dd>" in page
    await run(lambda c: presence.seen(c, me, member.address, linked=False))
    assert ">now" not in (await admin.get("/members")).text


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
    assert text.count("Not a rate: 'fast'") == text.count("Choose hospital or replica") == 1
    assert "What is wrong stands at its field." in text
    assert await admin.ground.database.run(registry.list_members) == []


@pytest.mark.parametrize(("name", "said"), [("north", "There is a member"), ("x" * 65, "1 to 64")])
async def test_names_that_cannot_be(admin: Browser, name: str, said: str) -> None:
    await register(admin, name="North")
    answer = await admin.send("/members/new", "/members", **(NORTH | {"name": name}))
    assert answer.status_code == 400
    assert said in answer.text


async def test_the_audit_trail_is_searched_without_uids_in_urls(admin: Browser) -> None:
    member, _ = await register(admin)
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
    assert "member registered" in answer.text
    answer = await admin.send("/audit", "/audit", member="", uid="1.2.5")
    assert answer.status_code == 404
    assert "No study with this UID is in the audit trail" in answer.text
    assert 'id="uid" name="uid" value="1.2.5" autocomplete="off" spellcheck="false" aria-inv' in (
        answer.text
    )
    answer = await admin.send("/audit", "/audit", member="Nroth", uid="")
    assert answer.status_code == 404
    assert "Nobody called &#39;Nroth&#39; is in the audit trail." in answer.text
    assert "Nothing yet" not in answer.text
    assert not re.search(r'href="[^"]*1\.2\.', answer.text)


async def test_what_members_write_cannot_act_on_the_page(admin: Browser) -> None:
    entry = audit.Entry("study read", "No\u202erth", detail="move by \x1b[2J\u2067<b>")
    await admin.ground.database.run(lambda c: audit.record(c, entry))
    text = (await admin.get("/audit")).text
    assert not {"\u202e", "\x1b", "\u2067"} & set(text)
    assert "No\\u202erth" in text
    assert "&lt;b&gt;" in text


async def test_pages_work_for_everybody(admin: Browser) -> None:
    """Every input has a label, every table its headers, every page one heading of its own."""
    member, _ = await register(admin)
    page = f"/members/{member.address}"
    for path in ("/members", "/members/new", page, f"{page}/token", "/audit"):
        text = (await admin.get(path)).text
        assert text.count("<h1>") == 1
        assert 'href="#main"' in text
        for name in re.findall(r'<input id="([^"]+)"', text):
            assert f'<label for="{name}">' in text
        if "<table>" in text:
            assert '<th scope="col">' in text
            assert "<td>" not in text  # narrow screens show a heading beside each cell
