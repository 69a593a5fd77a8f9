import csv
import io
import re

from broker.database.db import now
from broker.members import traffic
from p2pacs.ids import StudyId
from tests.broker.pages.conftest import Browser

ONE, TWO = (StudyId(bytes(15) + bytes([n])) for n in (1, 2))


async def flowing(admin: Browser) -> tuple[str, str]:
    """North got of both studies from South, and the broker one of them from the PACS."""
    north, _ = await admin.ground.register("North <General>")
    south, _ = await admin.ground.register("=South")
    me, at = admin.ground.identity.address.raw, now()

    def work(connection: object) -> None:
        for study, size, receiver, giver in (
            (ONE, 3_000_000, north.address.raw, south.address.raw),
            (TWO, 1_000_000, north.address.raw, south.address.raw),
            (ONE, 9_000_000, me, traffic.PACS),
        ):
            traffic.count(connection, at, study, size, receiver=receiver, giver=giver)  # type: ignore[arg-type]

    await admin.ground.database.run(work)
    return str(north.address), str(south.address)


async def test_nothing_was_transferred(admin: Browser) -> None:
    text = (await admin.get("/traffic")).text
    assert "Nothing was transferred in this time" in text
    assert "<svg" in text


async def test_the_plot_has_a_title_a_description_and_a_table(admin: Browser) -> None:
    await flowing(admin)
    for period in ("day", "week", "month", "year", "century"):
        text = (await admin.get(f"/traffic?period={period}")).text
        assert "From members: 4.0 MB. From the PACS: 9.0 MB." in text
        assert text.count("<rect") == 2
        assert "North &lt;General&gt;" in text
        assert f'href="/studies/{ONE}"' in text
        assert "style=" not in text


async def test_of_one_member_and_of_one_study(admin: Browser) -> None:
    north, south = await flowing(admin)
    text = (await admin.get(f"/traffic?member={north}")).text
    assert "Traffic of North &lt;General&gt;" in text
    assert "Received: 4.0 MB. Sent: 0 B." in text
    text = (await admin.get(f"/traffic?member={south}")).text
    assert "Received: 0 B. Sent: 4.0 MB." in text
    text = (await admin.get(f"/traffic?study={TWO}")).text
    assert "From members: 1.0 MB. From the PACS: 0 B." in text
    answer = await admin.get("/traffic?member=x&study=1.2.3")
    assert answer.status_code == 200
    assert "1.2.3" not in answer.text


async def test_the_file_has_every_flow(admin: Browser) -> None:
    await flowing(admin)
    page = (await admin.get("/traffic?period=day")).text
    link = re.search(r'href="(/traffic\.csv[^"]*)"', page)
    assert link is not None
    answer = await admin.get(link[1].replace("&amp;", "&"))
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert sorted(row[1:] for row in rows[1:]) == [
        ["hour", "North <General>", "'=South", "4000000"],
        ["hour", "the broker", "the PACS", "9000000"],
    ]
