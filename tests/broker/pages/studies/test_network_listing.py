import pytest
from sqlalchemy import insert

from broker.database.schema import studies
from broker.database.study_facts import StudyFacts
from broker.pages.studies.network_listing import NetworkListing, NetworkStudy, StudyCopy
from p2pacs.errors import PacsUnreachableError
from p2pacs.ids import VirtualAddress
from p2pacs.publish import PublishProgress
from tests.broker.access.test_rules import CT, OLD
from tests.broker.conftest import Ground
from tests.broker.pages.conftest import FewStudies

STRANGER = VirtualAddress(b"\xfd" + bytes(14) + b"x")


def _copy(whole: bool | None) -> StudyCopy:
    return StudyCopy(STRANGER, "North", "hospital", whole)


def _study(
    facts: StudyFacts, progress: PublishProgress | None = None, *copies: bool | None
) -> NetworkStudy:
    held = [_copy(whole) for whole in copies]
    return NetworkStudy(CT.study, CT.uid, {}, facts, held, None, progress)


def _progress(*, over: bool, failed: bool) -> PublishProgress:
    progress = PublishProgress(CT.study, CT.uid)
    if over:
        progress.end(PacsUnreachableError("away") if failed else None)
    return progress


OUT, PART, NOT = StudyFacts(version=2, complete=True), StudyFacts(version=1), StudyFacts()


@pytest.mark.parametrize(
    ("facts", "over", "failed", "words"),
    [
        (NOT, None, False, "In the PACS alone"),
        (NOT, False, False, "Being published"),
        (NOT, True, True, "Not published"),
        (PART, None, False, "Incomplete"),
        (PART, True, True, "Incomplete"),
        (OUT, None, False, "Published"),
        (OUT, False, False, "Being published"),
        (OUT, True, False, "Published"),
    ],
)
async def test_what_matters_most_about_a_study(
    facts: StudyFacts, over: bool | None, failed: bool, words: str
) -> None:
    progress = None if over is None else _progress(over=over, failed=failed)
    assert _study(facts, progress).badge[1] == words


def test_copies_in_short() -> None:
    assert _study(OUT).copy_words == ""
    assert _study(OUT, None, True, True, False, None).copy_words == (
        "2 members in whole, 2 in part"
    )
    assert {_copy(whole).words for whole in (True, False, None)} == {
        "has all of it",
        "has a part of it, or fetches it",
        "is about to fetch it",
    }


async def test_a_page_of_studies_with_where_they_are(ground: Ground) -> None:
    north, _ = await ground.register("North")
    row = {"uid": CT.uid, "wrapped_key": b"", "version": 1, "complete": True}
    await ground.database.run(lambda c: c.execute(insert(studies), {"study": CT.study.raw, **row}))
    known = FewStudies()
    known.held[CT.study] = [(north.address, True), (STRANGER, None)]
    listing = NetworkListing(ground.database, known)
    first, second = await listing.rows([CT, OLD])
    assert [(one.name, one.role, one.whole) for one in first.copies] == [
        ("North", "hospital", True),
        ("unknown", "", None),  # it was deleted since
    ]
    assert (first.whole, first.facts.version, first.size) == (1, 1, None)
    assert (second.study, second.copies, second.facts) == (OLD.study, [], StudyFacts())
    assert list(await listing.members()) == [north.address]
