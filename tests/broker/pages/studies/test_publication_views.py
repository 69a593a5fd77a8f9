from broker.pages.studies.publication_views import ENDED
from p2pacs.errors import PacsUnreachableError
from p2pacs.ids import StudyId
from p2pacs.publish import PublishProgress
from tests.broker.pages.conftest import Browser

STUDIES = [StudyId(bytes(15) + bytes([n])) for n in range(ENDED + 3)]


async def test_what_is_under_way_comes_first(admin: Browser) -> None:
    page = await admin.get("/transfers")
    assert "Nothing was published since the broker started" in page.text
    assert "No member is linked." in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    for study in STUDIES:
        admin.studies.publications[study] = progress = PublishProgress(study, "1.2")
        if study != STUDIES[0]:
            progress.end(PacsUnreachableError("away") if study == STUDIES[-1] else None)
    text = (await admin.get("/transfers")).text
    assert text.index(f"transfer-{STUDIES[0]}") < text.index(f"transfer-{STUDIES[-1]}")
    assert text.count("data-topic=") == ENDED + 1
    assert "Waits for its turn" in text
    assert ">away</p>" in text
    card = (await admin.get(f"/transfers/{STUDIES[0]}/card")).text
    assert card.startswith("<article")
    assert (await admin.get(f"/transfers/{'ff' * 16}/card")).status_code == 404


async def test_who_says_that_it_fetches_something(admin: Browser) -> None:
    north, _ = await admin.ground.register("North")
    admin.known.held[north.address] = [(STUDIES[1], False), (STUDIES[2], True)]
    text = (await admin.get("/transfers")).text
    assert f'href="/studies/{STUDIES[1]}"' in text
    assert f'href="/studies/{STUDIES[2]}"' not in text
