import re

from sqlalchemy import insert

from broker.database.schema import studies as table
from broker.ingest.sent import begin_sending, note_stored, note_version
from broker.trail import audit
from p2pacs.errors import PacsUnreachableError
from p2pacs.publish import PublishProgress
from p2pacs.publish.progress import PublishStage
from p2pacs.store import StudyInfo
from tests.broker.pages.conftest import Browser
from tests.p2pacs.catalogue.samples import study

ONE = study(1, name="Doe^Jane")
PAGE = f"/studies/{ONE.study}"


async def publish(admin: Browser, version: int, *, complete: bool) -> None:
    row = {
        "study": ONE.study.raw,
        "uid": ONE.uid,
        "wrapped_key": b"",
        "version": version,
        "complete": complete,
        "published": 1_700_000_000_000,
    }
    await admin.ground.database.run(lambda c: c.execute(insert(table), row))


async def test_studies_are_found_and_nothing_of_them_is_in_a_url(admin: Browser) -> None:
    assert "The catalogue is empty" in (await admin.get("/studies")).text
    admin.catalogue.upsert([ONE, study(2, name="Roe^Richard")])
    text = (await admin.get("/studies")).text
    assert "Doe, Jane" in text
    assert "Roe, Richard" in text
    answer = await admin.send("/studies", "/studies", name="doe")
    where = answer.headers["location"]
    assert "doe" not in where
    text = (await admin.get(where)).text
    assert "Doe, Jane" in text
    assert "Roe, Richard" not in text
    assert f'href="{PAGE}"' in text
    assert not re.search(rf'(href|action)="[^"]*{re.escape(ONE.uid)}', text)
    answer = await admin.send("/studies", "/studies", born="soon")
    assert answer.status_code == 400
    assert "Birth date: write a date" in answer.text
    for path in ("/studies?page=401", "/studies?page=0"):
        assert (await admin.get(path)).status_code == 400


async def test_where_the_copies_of_a_study_are(admin: Browser) -> None:
    admin.catalogue.upsert([ONE])
    names = ("North", "South", "West")
    members = [(await admin.ground.register(name))[0] for name in names]
    whole: list[bool | None] = [True, False, None]
    held = [(member.address, part) for member, part in zip(members, whole, strict=True)]
    admin.studies.held[ONE.study] = held
    admin.studies.store[ONE.study] = StudyInfo(ONE.study, 3, 9, 5000, 0.0, pinned=False)
    await publish(admin, 3, complete=True)
    read = audit.Entry("study read", "North", study=ONE.study, time=1_700_000_060_000)
    await admin.ground.database.run(lambda c: audit.record(c, read))
    listed = (await admin.get("/studies")).text
    assert "broker, 1 member in whole, 2 in part" in listed
    assert ">Published</span><small>version 3, 5.0 kB here" in listed
    assert "2023-11-14 22:14" in listed
    text = (await admin.get(PAGE)).text
    for name, said in zip(
        names, ("has all of it", "has a part of it, or fetches it", "is about to fetch it"),
        strict=True,
    ):  # fmt: skip
        assert re.search(rf">{name}</a></th>.*>{said}<", text)
    assert "3, of 2023-11-14 22:13 UTC" in text
    assert ">Read a study</td>" in text
    assert "Read it from the PACS again" in text


async def test_a_study_that_nobody_asked_for_is_published_by_the_administrator(
    admin: Browser,
) -> None:
    admin.catalogue.upsert([ONE])
    assert "Nobody has asked for this study yet" in (await admin.get(PAGE)).text
    answer = await admin.send(PAGE, f"{PAGE}/publish")
    assert answer.headers["location"] == PAGE
    assert admin.studies.published == [ONE.uid]
    entry = (await admin.ground.database.run(audit.read))[0]
    assert (entry.what, entry.actor, entry.study) == ("publication asked for", "admin", ONE.study)


async def test_how_a_publication_stands_and_why_it_failed(admin: Browser) -> None:
    admin.catalogue.upsert([ONE])
    progress = PublishProgress(ONE.study, ONE.uid, instances_wanted=8, instances_done=2)
    progress.stage = PublishStage.RETRIEVING
    admin.studies.publications[ONE.study] = progress
    text = (await admin.get(PAGE)).text
    assert "Comes from the PACS</strong>: 2 of 8 images" in text
    assert "/publish" not in text
    assert ">Being published</span>" in (await admin.get("/studies")).text
    progress.failed["1.2.3.4"] = "the PACS does not have it"
    progress.end(PacsUnreachableError("it <hangs>"))
    text = (await admin.get(PAGE)).text
    assert "Failed</strong>: 2 of 8 images, 1 image is left out. it &lt;hangs&gt;" in text
    assert "1.2.3.4" not in text
    assert ">Not published</span>" in (await admin.get("/studies")).text


async def test_a_study_that_there_is_not(admin: Browser) -> None:
    for path in (PAGE, "/studies/x", f"/studies/{ONE.uid}"):
        answer = await admin.get(path)
        assert answer.status_code == 404
        assert "Sign out" in answer.text
    assert (await admin.send("/studies", f"{PAGE}/publish")).status_code == 404
    assert admin.studies.published == []


async def test_who_made_a_study_and_how_far_it_is(admin: Browser) -> None:
    admin.catalogue.upsert([ONE])
    assert "Made at" not in (await admin.get(PAGE)).text
    member, _token = await admin.ground.register("North")
    run, of = admin.ground.database.run, ONE.study
    await run(lambda c: begin_sending(c, of, ONE.uid, member.address))
    text = (await admin.get(PAGE)).text
    assert f'href="/members/{member.address}">North</a>: announced' in text
    await run(lambda c: note_version(c, of, 1, complete=False))
    assert "the member sends it now" in (await admin.get(PAGE)).text
    await run(lambda c: note_version(c, of, 2, complete=True))
    assert "on its way to the PACS" in (await admin.get(PAGE)).text
    await run(lambda c: note_stored(c, of, 2))
    assert "North</a>: in the PACS" in (await admin.get(PAGE)).text
