import csv
import io
import re

from broker.pages.trail import trail_views
from broker.trail import audit
from p2pacs.accounts.people import add_account
from p2pacs.ids import StudyId
from tests.broker.pages.conftest import PASSWORD, Browser
from tests.broker.pages.registration.test_views import register
from tests.p2pacs.accounts.conftest import CHEAP

ONE, OTHER = StudyId(bytes(16)), StudyId(b"1" * 16)


async def found(admin: Browser, **fields: str) -> str:
    """The page that a search goes on to."""
    answer = await admin.send("/audit", "/audit", **fields)
    assert answer.status_code == 303
    where = answer.headers["location"]
    assert not any(value and value in where for value in fields.values())
    page = await admin.get(where)
    assert page.status_code == 200
    return page.text


async def test_the_audit_trail_is_searched_without_uids_in_urls(admin: Browser) -> None:
    member, _ = await register(admin)
    entries = [
        audit.Entry("study granted", member.name, member.address, ONE, "1.2.3"),
        audit.Entry("study granted", member.name, member.address, OTHER, "1.2.4"),
    ]
    await admin.ground.database.run(lambda c: audit.record(c, *entries))
    text = await found(admin, uid="1.2.3")
    assert ">1.2.3<" in text
    assert "1.2.4" not in text
    assert f'href="/studies/{ONE}"' in text
    text = await found(admin, what="study granted", outcome="done")
    assert ">1.2.4<" in text
    assert ">Sign-in</td>" not in text
    assert not re.search(r'href="[^"]*1\.2\.', text)
    assert "Nothing was found" in await found(admin, uid="1.2.5")
    page = await admin.get(f"/audit?member={member.address}&what=member registered")
    assert ">Registered a member</td>" in page.text
    assert "1.2.3" not in page.text


async def test_what_cannot_be_looked_for_is_said_at_its_field(admin: Browser) -> None:
    answer = await admin.send("/audit", "/audit", since="soon", uid="1.2.5")
    assert answer.status_code == 400
    assert "Write a time as 2024-01-31 10:00." in answer.text
    assert 'value="1.2.5"' in answer.text
    answer = await admin.send("/audit", "/audit", member="Nroth")
    page = await admin.get(answer.headers["location"])
    assert page.status_code == 404
    assert "Nobody called &#39;Nroth&#39; is in the audit trail." in page.text
    assert "Nothing yet" not in page.text
    for path in ("/audit?after=soon", "/audit?study=1.2.3"):
        assert (await admin.get(path)).status_code == 400


async def test_pages_follow_each_other(admin: Browser) -> None:
    entries = [audit.Entry("study read", "North", detail=f"n{n:03}.", time=n) for n in range(230)]
    await admin.ground.database.run(lambda c: audit.record(c, *entries))
    text, told = await found(admin, what="study read"), list[str]()
    while True:
        told += re.findall(r">(n\d+)\.<", text)
        older = re.search(r'href="([^"]+)">Older<', text)
        if older is None:
            break
        text = (await admin.get(older[1].replace("&amp;", "&"))).text
    assert told == [f"n{n:03}" for n in reversed(range(230))]


async def test_an_auditor_takes_the_trail_along_and_the_trail_says_so(
    admin: Browser,
) -> None:
    run = admin.ground.database.run
    await run(lambda c: add_account(c, "rev", PASSWORD, "auditor", CHEAP))
    odd = audit.Entry("study read", "North", detail="=1+1 \x1b[2J", uid="1.2.3", time=7)
    many = [audit.Entry("sign-in", "x", time=n) for n in range(2 * trail_views.BATCH)]
    await run(lambda c: audit.record(c, odd, *many))
    admin.http.cookies.clear()
    await admin.sign_in("rev")
    search = re.search(
        r"search=(\S+)", (await admin.send("/audit", "/audit", uid="1.2.3")).headers["location"]
    )
    assert search is not None
    answer = await admin.send("/audit", "/audit/export", search=search[1])
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == list(trail_views.HEADINGS)
    assert rows[1:] == [
        ["1970-01-01T00:00:00Z", "North", "", "Read a study", "North", "'=1+1 \\x1b[2J", "1.2.3",
         "done"]
    ]  # fmt: skip
    everything = list(csv.reader(io.StringIO((await admin.send("/audit", "/audit/export")).text)))
    assert len(everything) > 2 * trail_views.BATCH
    newest = (await run(audit.read))[0]
    assert (newest.what, newest.actor, newest.detail) == ("audit exported", "rev", "all of it")


async def test_what_members_write_cannot_act_on_the_page(admin: Browser) -> None:
    entry = audit.Entry("study read", "No\u202erth", detail="move by \x1b[2J\u2067<b>")
    await admin.ground.database.run(lambda c: audit.record(c, entry))
    text = (await admin.get("/audit")).text
    assert not {"\u202e", "\x1b", "\u2067"} & set(text)
    assert "No\\u202erth" in text
    assert "&lt;b&gt;" in text
