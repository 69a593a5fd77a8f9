import re

import pytest

from broker.database.schema import grants
from broker.trail import audit
from p2pacs.catalogue.records import StudyRecord
from p2pacs.dataset.json_model import entry
from p2pacs.dataset.vocabulary import tag
from p2pacs.ids import StudyId
from tests.broker.pages.conftest import Browser


def study(number: int, modality: str, patient: str = "P1", accession: str = "A") -> StudyRecord:
    return StudyRecord(
        StudyId(bytes(15) + bytes([number])),
        f"1.2.{number}",
        {
            tag("PatientID"): entry("LO", patient),
            tag("PatientName"): entry("PN", {"Alphabetic": f"<b>{patient}^X"}),
            tag("AccessionNumber"): entry("SH", accession),
            tag("ModalitiesInStudy"): entry("CS", modality),
            tag("StudyDate"): entry("DA", f"2026010{number}"),
        },
    )


@pytest.fixture
async def network(admin: Browser) -> Browser:
    """Two studies of one patient and one of another; North reads CT."""
    admin.catalogue.upsert([study(1, "CT"), study(2, "MR", accession="B"), study(3, "CT", "P2")])
    await admin.ground.register("North", read="Modality=CT")
    return admin


async def ask(admin: Browser, **fields: str) -> str:
    answer = await admin.send("/access", "/access/study", **({"member": "North"} | fields))
    assert answer.status_code == 200
    assert str(answer.url).endswith("/access/study"), "nothing typed stands in the URL"
    return answer.text


async def test_may_a_member_read_a_study_and_why(network: Browser) -> None:
    page = await ask(network, uid="1.2.1")
    assert '<span class="badge linked">may read</span>' in page
    assert "Modality=CT holds: the study has CT." in page
    assert "It has not joined yet" in page
    assert "was never given to North" in page
    assert "&lt;b&gt;P1, X" in page
    page = await ask(network, uid="1.2.2")
    assert '<span class="badge refused">may not read</span>' in page
    assert "Modality=CT does not hold: the study has MR." in page


async def test_a_key_that_was_given_stays(network: Browser) -> None:
    member, _ = await network.ground.register("South", read="none")
    row = {"study": study(1, "CT").study.raw, "address": member.address.raw, "granted": 0}
    await network.ground.database.run(lambda c: c.execute(grants.insert().values(row)))
    page = await ask(network, member=str(member.address), uid="1.2.1")
    assert "Its rule is none: it may read no study." in page
    assert "was given to South on 1970-01-01 00:00 UTC" in page
    assert "can still read" in page


async def test_a_study_is_found_by_its_patient_or_accession_number(network: Browser) -> None:
    page = await ask(network, patient="P1")
    assert "Which of these 2 studies?" in page
    assert re.findall(r'name="uid" value="(1[^"]+)"', page) == ["1.2.2", "1.2.1"]
    assert "may not read" in await ask(network, patient="P1", accession="B")
    assert "Modality=CT holds" in await ask(network, patient="P2")


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"uid": "1.2.9"}, 404, "No such study is in the catalogue"),
        ({"uid": "x'; DROP TABLE"}, 404, "No such study is in the catalogue"),
        ({}, 400, "Say which study"),
        ({"member": "", "uid": "1.2.1"}, 400, "Choose a member."),
        ({"member": "Nobody", "uid": "1.2.1"}, 404, "There is no member"),
        ({"patient": "x" * 65}, 400, ""),
    ],
)
async def test_what_cannot_be_answered(
    network: Browser, fields: dict[str, str], status: int, said: str
) -> None:
    answer = await network.send("/access", "/access/study", **({"member": "North"} | fields))
    assert answer.status_code == status
    assert said in answer.text
    assert "Sign out" in answer.text


async def test_a_rule_that_is_not_saved_is_tried_on_the_catalogue(network: Browser) -> None:
    answer = await network.send("/access", "/access/rule", rule="Modality=CT; PatientID=P2")
    assert "It would allow 1 of 3 studies" in answer.text
    assert "&lt;b&gt;P2, X" in answer.text
    assert 'value="Modality=CT; PatientID=P2"' in answer.text
    answer = await network.send("/access", "/access/rule", rule="none")
    assert "It would allow 0 of 3 studies" in answer.text
    answer = await network.send("/access", "/access/rule", rule="Color=<b>")
    assert answer.status_code == 400
    assert "Read rule, position 1" in answer.text
    assert "<b>" not in answer.text
    whats = {entry.what for entry in await network.ground.database.run(audit.read)}
    assert whats == {"sign-in"}, "trying is nothing that is done to anybody"


async def test_the_page_of_a_member_leads_here(network: Browser) -> None:
    member, _ = await network.ground.register("South")
    page = (await network.get(f"/members/{member.address}")).text
    assert f'href="/access?member={member.address}"' in page
    page = (await network.get(f"/access?member={member.address}")).text
    assert f'<option value="{member.address}" selected>South</option>' in page
