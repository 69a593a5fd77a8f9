from broker.database.pacs_state import note_look
from broker.members import presence
from broker.members.holding import LastTold
from broker.pages.members.listing import PAGE
from p2pacs.catalogue.records import StudyRecord
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.errors import PacsUnreachableError
from p2pacs.ids import StudyId
from tests.broker.pages.conftest import Browser
from tests.broker.pages.registration.test_views import join, register, token_on


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
    assert 'data-label="May send">all</td>' in page
    page = (await admin.get(f"/members/{member.address}")).text
    assert "<dt>Last seen</dt><dd>now: it is linked</dd>" in page
    assert "<dt>Uplink</dt><dd>no limit</dd>" in page
    await run(lambda c: presence.seen(c, me, member.address, linked=False))
    assert ">now" not in (await admin.get("/members")).text


async def test_what_a_linked_member_is_and_holds(admin: Browser) -> None:
    member, token = await register(admin)
    await join(admin, member, token)
    study, gone = StudyId(b"1" * 16), StudyId(b"2" * 16)
    record = StudyRecord(study, "1.2.3", {tag("StudyDescription"): entry("LO", "<b>Head")})
    admin.catalogue.upsert([record])
    admin.known.programs[member.address] = "p2pacs/9.9"
    page = f"/members/{member.address}"
    assert "9.9" not in (await admin.get("/members")).text, "it is not linked"
    me, run = admin.ground.identity.address, admin.ground.database.run
    await run(lambda c: presence.seen(c, me, member.address, linked=True))
    assert "<dd>nothing</dd>" in (await admin.get(page)).text
    assert "It holds nothing" in (await admin.get(f"{page}/studies")).text
    admin.known.held[member.address] = [(study, True), (gone, False)]
    listed = (await admin.get("/members")).text
    assert "p2pacs/9.9" in listed
    assert "2 studies<small>at least 1.0 kB</small>" in listed
    shown = (await admin.get(page)).text
    assert f'<a href="{page}/studies">2 studies</a>, 1 of them in whole; at least 1.0 kB' in shown
    held = (await admin.get(f"{page}/studies")).text
    assert "&lt;b&gt;Head" in held
    assert "not in the catalogue any more" in held
    assert "1.2.3" not in held
    assert (await admin.get(f"{page}/studies?page=0")).status_code == 400


async def test_many_members_stand_on_pages_and_are_looked_for(admin: Browser) -> None:
    for number in range(PAGE + 1):
        await admin.ground.register(f"Hospital {number:03}")
    page = (await admin.get("/members")).text
    assert "Hospital 000" in page
    assert f"Page 1 of 2 ({PAGE + 1} in all)" in page
    assert f"Hospital {PAGE:03}" not in page
    assert f"{PAGE + 1} registered." in page
    assert f"Hospital {PAGE:03}" in (await admin.get("/members?page=2")).text
    page = (await admin.get("/members?find=l+007&state=registered&sort=seen&down=1")).text
    assert "Hospital 007" in page
    assert "Hospital 006" not in page
    assert 'aria-sort="descending"' in page
    assert "No member is so." in (await admin.get("/members?find=nobody")).text
    for query in ("page=0", "state=x", "role=broker", "sort=token_hash", "find=" + "x" * 65):
        assert (await admin.get(f"/members?{query}")).status_code == 400, query


async def test_what_a_member_said_last_stays_with_its_time(admin: Browser) -> None:
    member, _ = await admin.ground.register("North")
    admin.known.told[member.address] = LastTold(1_750_000_000_000, "p2pacs/<1>", 7)
    page = (await admin.get("/members")).text
    assert "7 studies<small>2025-06-15 15:06</small>" in page
    assert "p2pacs/&lt;1&gt;</td>" in page
    page = (await admin.get(f"/members/{member.address}")).text
    assert "p2pacs/&lt;1&gt;, on 2025-06-15 15:06 UTC" in page
    assert "7 studies, on 2025-06-15 15:06 UTC" in page
