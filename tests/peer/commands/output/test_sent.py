from pathlib import Path
from typing import Any

from p2pacs.errors import BrokenInstanceError
from peer.commands.output.sent import MOST, sent_lines
from peer.commands.send.outcome import SendOutcome


def study(**more: Any) -> dict[str, Any]:
    return {
        "study_instance_uid": "1.2",
        "number": 7,
        "state": "published",
        "why": "",
        "instances": 2,
        "beside": 0,
        "recipients": [],
        "commitments": [],
        **more,
    }


def test_what_a_run_did() -> None:
    outcome = SendOutcome(found=5, others=1, seconds=2.0)
    for number, how in enumerate(("kept", "known", "beside", "broken")):
        said = {"outcome": how, "study_instance_uid": "1.2"}
        outcome.add(Path(f"/files/{number}"), 1000, said)
    outcome.refuse(Path("/files/9"), BrokenInstanceError("an instance has no SOP Class UID"))
    outcome.studies = {"1.2": study(), "1.3": study(number=8, state="waiting", instances=1)}
    to = {"name": "Capital", "known": True, "whole": False, "share": 412}
    outcome.studies["1.2"] |= {"why": "the PACS is away", "recipients": [to]}
    assert list(sent_lines(outcome)) == [
        "1 file taken (1.0 kB in 2.0 s), 1 was there already, 1 kept beside, 1 broken, 1 refused.",
        "1 other file left out: not DICOM, or a DICOMDIR.",
        "Refused: /files/9: an instance has no SOP Class UID",
        "Kept beside: /files/2",
        "Broken: /files/3",
        "Study 7: 2 images, on its way to the PACS: the PACS is away; Capital has 41 %",
        "Study 8: 1 image, waits for the broker",
    ]


def test_of_many_only_some_are_named() -> None:
    outcome = SendOutcome(found=100)
    for number in range(50):
        outcome.refuse(Path(f"/files/{number}"), BrokenInstanceError("no UID"))
    lines = list(sent_lines(outcome))
    assert lines[0] == "0 files taken, 50 refused, 50 not sent yet."
    assert len(lines) == 1 + MOST + 1
    assert lines[-1] == f"… and {50 - MOST} more"
