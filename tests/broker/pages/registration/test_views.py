import html
import re

import httpx
import pytest
from sqlalchemy import Connection

from broker.database.db import now
from broker.members import registry
from p2pacs.identity.token import Token
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
