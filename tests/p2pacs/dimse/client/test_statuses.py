import pytest
from pydicom.dataset import Dataset

from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.client import statuses
from p2pacs.errors import DeadlineError, PacsRefusedError, PacsUnreachableError

ANSWERS = statuses.PacsStatuses(DimseRemote("PACS", "pacs.example", 104))


def _status(code: int | None = None, failed: int | None = None) -> Dataset:
    status = Dataset()
    if code is not None:
        status.Status = code
    if failed is not None:
        status.NumberOfFailedSuboperations = failed
    return status


def test_success_is_no_error() -> None:
    ANSWERS.check(_status(0x0000), "C-FIND", aborted=False)


def test_no_answer_is_told_from_an_end() -> None:
    with pytest.raises(DeadlineError, match="does not answer C-GET"):
        ANSWERS.check(_status(), "C-GET", aborted=True)
    with pytest.raises(PacsUnreachableError, match="ended the association during C-GET"):
        ANSWERS.check(_status(), "C-GET", aborted=False)


@pytest.mark.parametrize(
    ("operation", "code", "said"),
    [
        ("C-FIND", 0xA900, "it finds the query wrong"),
        ("C-MOVE", 0xA801, "it does not know our AE title"),
        ("C-MOVE", 0xC000, "see its log, and whether it knows our AE title"),
        ("C-GET", 0xC000, "see its log"),
    ],
)
def test_what_a_status_means(operation: str, code: int, said: str) -> None:
    with pytest.raises(PacsRefusedError, match=f"0x{code:04X}: {said}"):
        ANSWERS.check(_status(code), operation, aborted=False)


def test_failed_instances_are_counted() -> None:
    with pytest.raises(PacsRefusedError, match=r"0xB000 \(3 instances failed\)"):
        ANSWERS.refuse(_status(0xB000, 3), "C-GET")


def test_the_last_answer_and_what_it_says_failed() -> None:
    failed = Dataset()
    failed.FailedSOPInstanceUIDList = ["1.2", "1.3"]
    assert statuses.last([(_status(0xFF00), None), (_status(0xB000), failed)])[1] is failed
    assert statuses.last([]) == (Dataset(), None)
    assert statuses.failed_uids(failed) == {"1.2", "1.3"}
    failed.FailedSOPInstanceUIDList = "1.2"
    assert statuses.failed_uids(failed) == {"1.2"}
    assert statuses.failed_uids(None) == set()


def test_a_retrieval_that_broke_off_without_a_failed_instance_is_no_success() -> None:
    status = _status(0xA702, 0)
    status.NumberOfCompletedSuboperations = 1
    assert statuses.wanted(status) == 0
    status.NumberOfFailedSuboperations = 2
    assert statuses.wanted(status) == 3
