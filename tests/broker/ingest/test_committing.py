import pytest

from broker.ingest.committing import Committing
from p2pacs.errors import PacsDataError
from p2pacs.ids import StudyId
from p2pacs.study.study_index import InstanceEntry
from tests.broker.fakes import FakePacs

OF, OTHER = (StudyId(bytes([number]) * StudyId.size) for number in (1, 2))
CT = "1.2.840.10008.5.1.4.1.1.2"


def entries(*numbers: int) -> dict[str, InstanceEntry]:
    return {
        f"1.2.{number}": InstanceEntry(CT, f"1.2.{number}", "1.1", "1.2", b"", 0, (), b"{}")
        for number in numbers
    }


async def test_what_is_committed_is_not_asked_for_again() -> None:
    pacs = FakePacs()
    pacs.uncommitted = set()
    committing = Committing(pacs, remembered=8)
    await committing.ask(OF, entries(1, 2))
    await committing.ask(OF, entries(1, 2, 3))
    assert pacs.asked == ["1.2.1", "1.2.2", "1.2.3"]
    assert not committing.refused(OF)


async def test_what_is_not_committed_is_said_and_asked_for_again() -> None:
    pacs = FakePacs()
    pacs.uncommitted = {"1.2.2"}
    committing = Committing(pacs, remembered=8)
    for _ in range(2):
        with pytest.raises(PacsDataError, match=r"1 instances .*0x0112.*stored again"):
            await committing.ask(OF, entries(1, 2))
        assert committing.refused(OF) == {"1.2.2"}
    pacs.uncommitted = set()
    await committing.ask(OF, entries(1, 2))
    assert not committing.refused(OF)
    assert pacs.asked == ["1.2.1", "1.2.2", "1.2.2", "1.2.2"]


async def test_a_pacs_that_promises_nothing_is_no_reason_to_wait() -> None:
    pacs = FakePacs()
    await Committing(pacs, remembered=8).ask(OF, entries(1))
    assert pacs.asked == ["1.2.1"]


async def test_so_many_studies_are_remembered() -> None:
    pacs = FakePacs()
    pacs.uncommitted = set()
    committing = Committing(pacs, remembered=1)
    await committing.ask(OF, entries(1))
    await committing.ask(OTHER, entries(2))
    await committing.ask(OF, entries(1))
    assert pacs.asked == ["1.2.1", "1.2.2", "1.2.1"]


async def test_many_instances_are_asked_for_in_parts() -> None:
    pacs = FakePacs()
    pacs.uncommitted = set()
    many = entries(*range(12_000))
    await Committing(pacs, remembered=1).ask(OF, many)
    assert sorted(pacs.asked) == sorted(many)
