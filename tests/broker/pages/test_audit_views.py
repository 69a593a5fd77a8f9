import re

from broker.members import audit
from p2pacs.ids import StudyId
from tests.broker.pages.conftest import Browser
from tests.broker.pages.registration.test_views import register


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
