from pathlib import Path

import pytest

from p2pacs.errors import BrokenInstanceError, DiskFullError, ForbiddenError, PacsDataError
from peer.commands.send.outcome import SendOutcome

PATH = Path("/files/1")


def test_a_run_in_which_all_went_well() -> None:
    outcome = SendOutcome(found=2)
    outcome.add(PATH, 10, {"outcome": "kept", "study_instance_uid": "1.2"})
    outcome.add(Path("/files/2"), 20, {"outcome": "known", "study_instance_uid": "1.2"})
    outcome.check()
    said = outcome.json()
    assert (said["kept"], said["known"], said["bytes"], said["studies"]) == (1, 1, 10, [])


def test_what_was_refused_fails_the_run() -> None:
    outcome = SendOutcome(found=2)
    outcome.refuse(PATH, ForbiddenError("not yours"))
    with pytest.raises(ForbiddenError):
        outcome.check()
    outcome.refuse(Path("/files/2"), BrokenInstanceError("no UID"))
    with pytest.raises(PacsDataError, match="2 files were"):
        outcome.check()
    assert outcome.json()["refused"][0] == {"file": "/files/1", "why": "not yours"}


def test_what_is_kept_and_not_sent_on_is_said_with_its_reason() -> None:
    outcome = SendOutcome(found=3)
    for number, how in enumerate(("beside", "broken", "broken")):
        outcome.add(Path(f"/files/{number}"), 10, {"outcome": how, "study_instance_uid": "1.2"})
    with pytest.raises(PacsDataError, match=r"one file is kept beside.*; 2 files are broken, kept"):
        outcome.check()
    said = outcome.json()
    assert (said["beside"], said["broken"]) == (["/files/0"], ["/files/1", "/files/2"])


def test_why_it_stopped_comes_first() -> None:
    outcome = SendOutcome(found=2, stopped=DiskFullError("no room"))
    outcome.refuse(PATH, BrokenInstanceError("no UID"))
    with pytest.raises(DiskFullError):
        outcome.check()
