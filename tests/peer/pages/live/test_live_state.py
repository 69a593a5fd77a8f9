"""How far a send is, in words: made by hand, as a send under way passes through all of it."""

import pytest

from p2pacs.dimse.association.remote import DimseRemote
from p2pacs.dimse.delivery.sending import Sending
from p2pacs.errors import P2PacsError, PacsUnreachableError
from p2pacs.ids import StudyId
from peer.pages.live.live_state import send_words
from peer.sending.sends import StudySend

STUDY = StudyId(bytes(16))


def send(
    done: int = 0,
    failed: int = 0,
    *,
    remaining: int | None = None,
    over: bool = False,
    cancelled: bool = False,
    error: P2PacsError | None = None,
) -> StudySend:
    sending = Sending("anna", "VIEWER", cancelled=cancelled, remaining=remaining)
    for number in range(done):
        sending.tally.count(0x0000, f"1.2.{number}")
    sending.tally.fail("it is full", *(f"1.3.{number}" for number in range(failed)))
    return StudySend(7, STUDY, DimseRemote("VIEWER", "host", 104), sending, error, over)


@pytest.mark.parametrize(
    ("one", "words", "amount", "why"),
    [
        (send(), "Waiting", "", ""),
        (send(1, remaining=2), "Sending", "1 of 3 images", ""),
        (send(1, 1, remaining=1), "Sending", "1 of 3 images", "it is full"),
        (send(1, remaining=2, cancelled=True), "Stopping", "1 of 3 images", ""),
        (send(1, remaining=0, cancelled=True, over=True), "Stopped", "1 of 1 images", ""),
        (send(3, remaining=0, over=True), "Sent", "3 of 3 images", ""),
        (send(2, 1, remaining=0, over=True), "Not all was sent", "2 of 3 images", "it is full"),
        (send(0, 2, remaining=0, over=True), "Not sent", "0 of 2 images", "it is full"),
        (send(over=True, error=PacsUnreachableError("it is off")), "Not sent", "", "it is off"),
    ],
)
def test_a_send_says_how_far_it_is_and_why_not_farther(
    one: StudySend, words: str, amount: str, why: str
) -> None:
    told = send_words(one)
    assert (told["words"], told["amount"], told["why"]) == (words, amount, why)
    assert told["over"] is one.over
    assert told["state"] == ("over" if one.over else "sending")
    assert (told["study"], told["to"]) == (str(STUDY), "VIEWER")


def test_what_a_workstation_says_is_cleaned() -> None:
    one = send(over=True, error=PacsUnreachableError("\x1b[31mred\u202e"))
    assert send_words(one)["why"] == r"\x1b[31mred\u202e"
