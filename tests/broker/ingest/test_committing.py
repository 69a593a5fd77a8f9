import pytest
import trio

from broker.ingest.committing import Committing
from broker.ingest.sent import SentStudy
from broker.trail import audit
from p2pacs.errors import PacsDataError
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.study.study_index import InstanceEntry
from tests.broker.fakes import FakePacs

OF, OTHER = (StudyId(bytes([number]) * StudyId.size) for number in (1, 2))
MEMBER = VirtualAddress(b"\xfd" + bytes(15))
CT = "1.2.840.10008.5.1.4.1.1.2"


Trail = list[audit.Entry]


def committing(pacs: FakePacs, remembered: int = 8) -> tuple[Committing, Trail]:
    trail = Trail()

    async def record(entry: audit.Entry) -> None:
        await trio.lowlevel.checkpoint()
        trail.append(entry)

    return Committing(pacs, remembered, record), trail


def of(study: StudyId) -> SentStudy:
    return SentStudy(study, "1.2", MEMBER, True, 1, True, 0)


def told(trail: Trail) -> list[tuple[str, str]]:
    assert all((one.address, one.uid) == (MEMBER, "1.2") for one in trail)
    return [(one.detail, one.outcome) for one in trail]


def entries(*numbers: int) -> dict[str, InstanceEntry]:
    return {
        f"1.2.{number}": InstanceEntry(CT, f"1.2.{number}", "1.1", "1.2", b"", 0, (), b"{}")
        for number in numbers
    }


async def test_what_is_committed_is_not_asked_for_again() -> None:
    pacs = FakePacs()
    pacs.uncommitted = set()
    made, trail = committing(pacs)
    await made.ask(of(OF), entries(1, 2))
    await made.ask(of(OF), entries(1, 2, 3))
    await made.ask(of(OF), entries(1, 2, 3))
    assert pacs.asked == ["1.2.1", "1.2.2", "1.2.3"]
    assert not made.refused(OF)
    assert told(trail) == [("2 instances", "done"), ("1 instances", "done")]


async def test_what_is_not_committed_is_said_and_asked_for_again() -> None:
    pacs = FakePacs()
    pacs.uncommitted = {"1.2.2"}
    made, trail = committing(pacs)
    for _ in range(2):
        with pytest.raises(PacsDataError, match=r"1 instances .*0x0112.*stored again"):
            await made.ask(of(OF), entries(1, 2))
        assert made.refused(OF) == {"1.2.2"}
    assert told(trail) == [("1 instances", "done"), ("1 instances", "refused")]
    pacs.uncommitted = set()
    await made.ask(of(OF), entries(1, 2))
    assert not made.refused(OF)
    assert told(trail)[2:] == [("1 instances", "done")]
    assert pacs.asked == ["1.2.1", "1.2.2", "1.2.2", "1.2.2"]


async def test_a_pacs_that_promises_nothing_is_no_reason_to_wait() -> None:
    pacs = FakePacs()
    made, trail = committing(pacs)
    await made.ask(of(OF), entries(1))
    assert not trail
    assert pacs.asked == ["1.2.1"]


async def test_so_many_studies_are_remembered() -> None:
    pacs = FakePacs()
    pacs.uncommitted = set()
    made, _ = committing(pacs, remembered=1)
    await made.ask(of(OF), entries(1))
    await made.ask(of(OTHER), entries(2))
    await made.ask(of(OF), entries(1))
    assert pacs.asked == ["1.2.1", "1.2.2", "1.2.1"]


async def test_many_instances_are_asked_for_in_parts() -> None:
    pacs = FakePacs()
    pacs.uncommitted = set()
    many = entries(*range(12_000))
    made, _ = committing(pacs, remembered=1)
    await made.ask(of(OF), many)
    assert sorted(pacs.asked) == sorted(many)
