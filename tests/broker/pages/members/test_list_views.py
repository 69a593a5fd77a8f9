from broker.database.pacs_state import note_look
from broker.members import presence
from p2pacs.errors import PacsUnreachableError
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
    page = (await admin.get(f"/members/{member.address}")).text
    assert "<dt>Last seen</dt><dd>now: it is linked</dd>" in page
    assert "<dt>Uplink</dt><dd>no limit</dd>" in page
    await run(lambda c: presence.seen(c, me, member.address, linked=False))
    assert ">now" not in (await admin.get("/members")).text
