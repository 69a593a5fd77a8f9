import pytest

from p2pacs.dicomweb.server.store_answer import StoreOutcome, failure_reason
from p2pacs.dicomweb.server.store_backend import KeptInstance
from p2pacs.errors import (
    BrokenInstanceError,
    DatabaseLockedError,
    DiskFullError,
    ForbiddenError,
    NotAcceptableError,
    P2PacsError,
    RevokedError,
    UnavailableError,
    UsageError,
    WrongStudyError,
)

ROOT = "http://pacs/dicom-web"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DiskFullError("x"), 0xA700),
        (DatabaseLockedError("x"), 0xA700),
        (UnavailableError("x"), 0xA700),
        (WrongStudyError("x"), 0xA900),
        (BrokenInstanceError("x"), 0xC000),
        (ForbiddenError("x"), 0x0124),
        (RevokedError("x"), 0x0124),
        (NotAcceptableError("x"), 0x0122),
        (UsageError("x"), 0x0110),
    ],
)
def test_reasons(error: P2PacsError, reason: int) -> None:
    assert failure_reason(error) == reason


def test_of_several_studies_none_is_the_one() -> None:
    outcome = StoreOutcome()
    for study in ("1.2", "1.3"):
        outcome.add(KeptInstance(study, study + ".1", "1.2.1", study + ".1.1"))
    told = outcome.data_set(ROOT)
    assert list(told) == ["00081199"]
    assert outcome.status == 200


def test_each_reason_is_said_once() -> None:
    outcome = StoreOutcome()
    for number in range(3):
        outcome.fail(DiskFullError("no room"), "1.2", f"1.2.{number}")
    assert list(outcome.said) == ["no room"]
    assert outcome.status == 503
    outcome.fail(BrokenInstanceError("broken"))
    assert outcome.status == 409
