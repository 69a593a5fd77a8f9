import pytest

from p2pacs.errors import PacsDataError
from peer.commands.get.outcome import GetOutcome, since
from tests.peer.fake_peer import transfer_of

BEFORE = transfer_of(1_000, 9_000, seconds=4.0)


def test_what_came_since_an_earlier_look() -> None:
    found = since(transfer_of(5_000, 9_000, seconds=6.5), BEFORE)
    assert (found["bytes_received"], found["seconds"], found["bytes_held"]) == (4_000, 2.5, 5_000)
    assert found["sources"]["replica"]["bytes"] == 4_000
    assert since(BEFORE, BEFORE)["sources"] == {}
    assert since(BEFORE, None) == BEFORE


def test_a_source_that_is_asked_and_gave_nothing_yet_is_one() -> None:
    asked = {"bytes": 0, "rate": 0, "in_flight": 7, "role": "replica", "linked": True}
    found = since(transfer_of(1_000, 9_000, seconds=5, sources={"other": asked}), BEFORE)
    assert found["sources"] == {"other": asked}


def test_a_transfer_begun_anew_is_counted_from_its_start() -> None:
    outcome = GetOutcome("ab", before=BEFORE)
    assert outcome.heard(transfer_of(3_000, 9_000, seconds=5.0))["bytes_received"] == 2_000
    assert outcome.heard(transfer_of(500, 9_000, seconds=1.0))["bytes_received"] == 500
    said = outcome.json()
    assert (said["bytes_received"], said["seconds"]) == (2_500, 2.0)
    assert said["sources"] == {"replica": 2_500}


def test_begun_anew_before_anything_was_heard() -> None:
    outcome = GetOutcome("ab", before=BEFORE)
    outcome.heard(transfer_of(500, 9_000, seconds=1.0))
    assert outcome.json()["bytes_received"] == 500


def test_nothing_heard_is_nothing_received() -> None:
    outcome = GetOutcome("ab", before=BEFORE)
    outcome.interrupted()
    assert (outcome.json()["bytes_received"], outcome.json()["seconds"]) == (0, 0)


def test_what_is_missing_is_an_error() -> None:
    GetOutcome("ab").check()
    with pytest.raises(PacsDataError, match="one instance is missing"):
        GetOutcome("ab", left_out=1, why="lost").check()
    with pytest.raises(PacsDataError, match="2 instances are missing"):
        GetOutcome("ab", left_out=2, why="lost").check()
