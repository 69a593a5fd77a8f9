import pytest

from p2pacs.dimse import suboperations as sub
from p2pacs.errors import (
    DiskFullError,
    ForbiddenError,
    NoSourceError,
    P2PacsError,
    StudyNotFoundError,
)


@pytest.mark.parametrize(
    ("statuses", "final"),
    [
        ([], 0x0000),
        ([0x0000, 0x0000], 0x0000),
        ([0x0000, 0xA700], 0xB000),
        ([0xB007, 0x0000], 0xB000),
        ([0xB000], 0xB000),
        ([0xA700, 0xC000], 0xA702),
    ],
)
def test_final_status(statuses: list[int], final: int) -> None:
    tally = sub.SubOperationCounts()
    for number, status in enumerate(statuses):
        tally.count(status, str(number))
    assert tally.final_status() == final
    assert tally.done == len(statuses)
    assert len(tally.failed_uids) == tally.failed


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NoSourceError("x"), 0xA702),
        (DiskFullError("x"), 0xA702),
        (ForbiddenError("x"), 0x0124),
        (StudyNotFoundError("x"), 0xA900),
    ],
)
def test_errors_become_statuses(error: P2PacsError, status: int) -> None:
    assert sub.status_of(error) == status


def test_comments_fit_into_their_element() -> None:
    comment = sub.comment_of(NoSourceError("no süch\nthing \\ " + "x" * 100))
    assert comment.startswith("no s?ch thing / x")
    assert len(comment) == 64


def test_counts_fit_into_two_bytes() -> None:
    assert (sub.us(70_000), sub.us(-1), sub.us(7)) == (65535, 0, 7)


def test_uids_of_failed_instances_are_not_in_the_repr() -> None:
    tally = sub.SubOperationCounts()
    tally.fail("not accepted", "1.2.3")
    assert "1.2.3" not in repr(tally)


def test_reasons_are_counted_and_the_most_frequent_comes_first() -> None:
    tally = sub.SubOperationCounts()
    tally.fail("cannot be read", "1.1")
    tally.fail("not accepted", "1.2")
    tally.fail("not accepted", unnamed=1)
    tally.count(0xA700, "1.3")
    assert list(tally.reasons.items()) == [
        ("not accepted", 2),
        ("cannot be read", 1),
        ("the destination answers C-STORE with 0xA700", 1),
    ]
    assert (tally.failed, tally.failed_uids) == (4, ["1.1", "1.2", "1.3"])
    assert tally.final_status() == 0xA702
