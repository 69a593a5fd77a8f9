import html
import shlex

import pytest

from broker.members import registry
from broker.members.registry import Member
from broker.registration.join_command import user_command
from broker.trail import audit
from tests.broker.pages.conftest import Browser
from tests.broker.pages.registration.test_views import join, register, token_on


async def _now(admin: Browser, member: Member) -> Member:
    return await admin.ground.database.run(lambda c: registry.get_member(c, member.address))


async def test_a_token_survives_a_reload_until_it_is_put_away(admin: Browser) -> None:
    member, token = await register(admin)
    page = f"/members/{member.address}"
    for _ in range(3):
        assert token_on(await admin.get(f"{page}/token")) == token
    assert f'href="{page}/token"' in (await admin.get(page)).text
    answer = await admin.send(f"{page}/token", f"{page}/token/away")
    assert answer.headers["location"] == page
    assert (await admin.get(f"{page}/token")).headers["location"] == page
    assert "cannot be shown again" in (await admin.get(page)).text


async def test_a_token_is_not_shown_to_the_next_session_nor_once_it_is_used(
    admin: Browser,
) -> None:
    member, token = await register(admin)
    page = f"/members/{member.address}"
    await admin.send("/members", "/logout")
    assert (await admin.get(f"{page}/token")).headers["location"] == "/login"
    await admin.sign_in()
    assert (await admin.get(f"{page}/token")).headers["location"] == page
    other = await admin.send(
        page, f"{page}/token", version=str((await _now(admin, member)).version)
    )
    token = token_on(await admin.get(other.headers["location"]))
    await join(admin, member, token)
    assert (await admin.get(f"{page}/token")).headers["location"] == page


async def test_the_commands_have_the_gateways_options(admin: Browser) -> None:
    member, token = await register(admin, name="North")
    page = f"/members/{member.address}/token"
    text = html.unescape((await admin.get(page)).text)
    assert "--aet NORTH --dicom 0.0.0.0:11112 \\\n    --token-file - <<'TOKEN'" in text
    assert f"\n{token}\nTOKEN" in text
    assert "AE title <code>NORTH</code>" in text
    query = "?listen=0.0.0.0:4711&dicom=10.0.0.1:104&aet=PACS&workstations=VIEWER%3D10.0.0.2:104"
    text = html.unescape((await admin.get(page + query)).text)
    assert shlex.join(["--aet", "PACS", "--dicom", "10.0.0.1:104"]) in text
    assert "--workstation VIEWER=10.0.0.2:104" in text
    assert "peer user add" not in text
    answer = await admin.get(page + "?listen=0.0.0.0:4711&web=10.0.0.1:8443")
    assert "--web 10.0.0.1:8443" in answer.text
    assert user_command() in answer.text
    answer = await admin.get(page + "?listen=here&workstations=VIEWER&dicom=&aet=")
    assert answer.status_code == 400
    text = html.unescape(answer.text)
    assert text.count("Not an endpoint: 'here'") == 1
    assert "Not a workstation: 'VIEWER'" in text
    assert "it is no PACS to them" in text
    assert "--listen 0.0.0.0:4711" in text
    replica, _ = await register(admin, name="Copy", role="replica", read="")
    assert "--dicom" not in (await admin.get(f"/members/{replica.address}/token")).text


async def test_a_new_token_replaces_the_old(admin: Browser) -> None:
    member, first = await register(admin)
    page = f"/members/{member.address}"
    answer = await admin.send(page, f"{page}/token", version=str(member.version))
    assert token_on(await admin.get(answer.headers["location"])) != first


async def test_changing_what_a_member_may_read(admin: Browser) -> None:
    member, _ = await register(admin)
    page, version = f"/members/{member.address}", str(member.version)
    answer = await admin.send(page, f"{page}/read", read="Modality=", version=version)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert 'value="Modality="' in answer.text
    answer = await admin.send(page, f"{page}/read", read="all", version=version)
    assert answer.headers["location"] == page
    changed = await _now(admin, member)
    assert (changed.read, changed.read_version) == ("all", 1)


async def test_changing_what_a_member_may_send(admin: Browser) -> None:
    member, _ = await register(admin)
    page, version = f"/members/{member.address}", str(member.version)
    answer = await admin.send(page, f"{page}/send", send="CT1,,", version=version)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert 'value="CT1,,"' in answer.text
    answer = await admin.send(page, f"{page}/send", send=" MR1,CT1 ", version=version)
    assert answer.headers["location"] == page
    assert (await _now(admin, member)).send == "CT1,MR1"
    shown = (await admin.get(page)).text
    assert "<dd>CT1,MR1</dd>" in shown
    assert "Changed which studies a member may send" in shown


async def test_a_replica_sends_nothing(admin: Browser) -> None:
    member, _ = await register(admin, role="replica", read="")
    page = f"/members/{member.address}"
    assert f'action="{page}/send"' not in (await admin.get(page)).text
    answer = await admin.send(page, f"{page}/send", send="all", version=str(member.version))
    assert answer.status_code == 400
    assert "holds no keys" in answer.text


async def test_a_replica_gets_no_rule_by_its_page(admin: Browser) -> None:
    member, _ = await register(admin, role="replica", read="")
    page = f"/members/{member.address}"
    shown = (await admin.get(page)).text
    assert f'action="{page}/read"' not in shown
    assert "gets no other rule" in shown
    answer = await admin.send(page, f"{page}/read", read="all", version=str(member.version))
    assert answer.status_code == 400
    assert "A replica reads nothing" in answer.text
    assert (await _now(admin, member)).read == "none"


async def test_correcting_and_deleting_what_never_joined(admin: Browser) -> None:
    member, _ = await register(admin, name="Nroth", read="all")
    page = f"/members/{member.address}"
    fields = {"name": "North", "role": "replica", "uplink": "fast", "downlink": ""}
    answer = await admin.send(page, f"{page}/correct", version=str(member.version), **fields)
    assert answer.status_code == 400
    assert "Nothing was changed." in answer.text
    assert 'value="fast"' in answer.text
    fields["uplink"] = "5mbit"
    answer = await admin.send(page, f"{page}/correct", version=str(member.version), **fields)
    assert answer.headers["location"] == page
    changed = await _now(admin, member)
    assert (changed.name, changed.role.value, changed.uplink) == ("North", "replica", 5_000_000)
    assert (changed.downlink, changed.read) == (None, "none")
    answer = await admin.send(page, f"{page}/delete", version=str(changed.version))
    assert answer.headers["location"] == "/members"
    assert await admin.ground.database.run(registry.list_members) == []
    assert "member deleted" in (await admin.get("/audit")).text


async def test_what_has_joined_is_renamed_and_revoked_only(admin: Browser) -> None:
    member, token = await register(admin, name="North")
    await register(admin, name="South")
    await join(admin, member, token)
    page, version = f"/members/{member.address}", str(member.version)
    shown = (await admin.get(page)).text
    assert f"{page}/delete" not in shown
    assert 'name="uplink"' not in shown
    answer = await admin.send(page, f"{page}/correct", version=version, name="South")
    assert "There is a member" in answer.text
    answer = await admin.send(page, f"{page}/delete", version=version)
    assert answer.status_code == 409
    assert "can only be revoked" in answer.text
    answer = await admin.send(page, f"{page}/correct", version=version, name="Northern")
    assert answer.headers["location"] == page
    assert (await _now(admin, member)).name == "Northern"


async def test_a_stale_form_of_a_second_browser_is_told(admin: Browser) -> None:
    member, _ = await register(admin, name="North", read="all")
    page, stale = f"/members/{member.address}", str(member.version)
    await admin.send(page, f"{page}/read", read="Modality=CT", version=stale)
    forms = {
        "read": {"read": "all"},
        "send": {"send": "none"},
        "correct": {"name": "South"},
        "token": {},
        "delete": {},
    }
    for what, fields in forms.items():
        for version in (stale, "", "x"):
            answer = await admin.send(page, f"{page}/{what}", version=version, **fields)
            assert answer.status_code == 409
            assert "was changed by somebody else" in answer.text
            assert 'value="Modality=CT"' in answer.text
    now = await _now(admin, member)
    assert (now.name, now.read) == ("North", "Modality=CT")


async def test_revoking(admin: Browser) -> None:
    member, token = await register(admin)
    await join(admin, member, token)
    page = f"/members/{member.address}"
    assert (await admin.send(page, f"{page}/revoke")).headers["location"] == page
    assert "revoked" in (await admin.get("/members")).text
    shown = (await admin.get(page)).text
    assert "/revoke" not in shown
    assert "Nothing yet" not in shown
    assert "Revoked a member" in shown
    assert "register it under another name" in shown
    for form in ("token", "correct", "read"):
        version = str((await _now(admin, member)).version)
        fields = {"name": "X", "read": "none", "version": version}
        answer = await admin.send("/members", f"{page}/{form}", **fields)
        assert answer.status_code == 403
        assert "was revoked" in answer.text
        assert "Sign out" in answer.text
    whats = [entry.what for entry in await admin.ground.database.run(audit.read)]
    assert whats == ["member revoked", "member registered", "sign-in"]


@pytest.mark.parametrize(
    "path", ["/members/fd00::1", "/members/10.0.0.1", "/members/x", "/no/where"]
)
async def test_nobody_there_but_the_navigation_stays(admin: Browser, path: str) -> None:
    answer = await admin.get(path)
    assert answer.status_code == 404
    assert 'aria-label="Main"' in answer.text
    assert "Sign out" in answer.text
    for form in ("revoke", "delete", "correct", "read", "token"):
        sent = await admin.send("/members", f"{path}/{form}", read="all")
        assert sent.status_code == 404
