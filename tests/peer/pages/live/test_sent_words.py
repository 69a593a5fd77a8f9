"""What people read of a study that is sent: made by hand."""

import pytest
from attrs import evolve

from p2pacs.languages import speaking
from p2pacs.languages.choice import LANGUAGES
from p2pacs.wire.messages.messages import SentNoted
from peer.ingest.outgoing_state import Attempt, RecipientState, StudyAddress
from peer.pages.live.sent_words import attention_words, sent_words
from tests.peer.ingest.test_outgoing_state import NOW, failing, told

AT = NOW / 1000


def test_what_goes_on_by_itself_says_that_nothing_has_to_be_done() -> None:
    for one in (told(), told(linked=False), told(published=5)):
        assert "nothing has to be done" in sent_words(one, AT)["advice"]


def test_what_failed_says_why_and_when_it_is_tried_again() -> None:
    attempt = Attempt()
    attempt.failed("the disk is full", AT + 12.4)
    said = sent_words(told(attempt), AT)
    assert (said["state"], said["words"]) == ("failing", "Not sent yet")
    assert said["why"] == "The disk is full."
    assert said["advice"].endswith("in 12 s.")
    assert "12" not in sent_words(told(failing()), AT)["advice"]


def test_what_the_pacs_does_not_take_yet_says_so_in_the_language_of_its_reader() -> None:
    attempt = Attempt()
    why = "http://pacs:8042 cannot be reached: does it run at this address?"
    attempt.noted(SentNoted(0, 1, 0, [], [], [], why))
    said = sent_words(told(attempt), AT)
    assert said["why"] == f"The PACS does not have it yet: {why.rstrip('?')}."
    assert "tries again by itself" in said["advice"]
    with speaking("de"):
        said = sent_words(told(attempt), AT)
        assert "pacs:8042 ist nicht zu erreichen" in said["why"]
        assert "versucht von selbst erneut" in said["advice"]


def test_what_was_refused_says_what_to_do_in_the_language_of_its_reader() -> None:
    why = "study 00112233 may not be sent by north: ask the administrator"
    one = told(refused=why)
    assert (
        sent_words(one, AT)["why"]
        == "Study 00112233 may not be sent by north: ask the administrator."
    )
    with speaking("de"):
        assert "darf von north nicht gesendet werden" in sent_words(one, AT)["why"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_cancelled_it(language: str) -> None:
    with speaking(language):
        assert "rita" in sent_words(told(cancelled="rita"), AT)["why"]


def test_how_much_and_since_when() -> None:
    attempt = Attempt()
    half = sent_words(told(attempt, published=0), AT)
    assert (half["percent"], half["amount"]) == (0, "0 of 10 images in the network, 1.0 kB")
    whole = sent_words(told(), AT)
    assert (whole["percent"], whole["amount"]) == (100, "10 images, 1.0 kB")
    assert whole["times"] == "2023-11-14 22:11 UTC, last image 2023-11-14 22:12 UTC"
    assert sent_words(told(latest=NOW - 119_000), AT)["times"] == "2023-11-14 22:11 UTC"
    assert whole["copies"] == "here alone"
    assert sent_words(told(safe=10), AT)["copies"] == "here, at the broker and in the PACS"


def test_what_was_delivered_is_sent_again_and_refused_is_not_said_to_be_here_alone() -> None:
    """Sent anew in whole: its instances have new numbers, above all that was published."""
    again = told(refused="no", newest=20, published=10, safe=10)
    said = sent_words(again, AT)
    assert said["amount"] == "10 images, 1.0 kB"
    assert said["copies"] == "here; what was sent of it before went into the PACS"
    assert "may be in the PACS already" in said["advice"]
    cancelled = sent_words(told(cancelled="rita", newest=20, published=10, safe=10), AT)
    assert (cancelled["amount"], cancelled["copies"]) == (said["amount"], said["copies"])


def test_what_was_refused_at_once_may_be_in_the_pacs() -> None:
    """Another hospital sent it, or it is there already."""
    said = sent_words(told(refused="no", study=None, version=0, published=0), AT)
    assert said["amount"] == "10 images, 1.0 kB"
    assert said["copies"] == "here; it may be in the PACS already"


@pytest.mark.parametrize(
    "why",
    [
        "study 00112233 may not be sent by north (HOSP_A is not among CT1,MR1): ask the "
        "administrator",
        "study 00112233 may not be sent by north (its rule is none): ask the administrator",
        "study 00112233 was sent by another hospital, or its UID is used twice: look it up before "
        "you send it",
        "study 00112233 is in the central PACS already: look it up, and send what is missing of "
        "it there",
        "study 00112233 is finished without this member: send what is missing of it to the "
        "central PACS",
    ],
)
def test_what_the_broker_refuses_is_said_in_the_language_of_its_reader(why: str) -> None:
    assert sent_words(told(refused=why), AT)["why"][1:-1] == why[1:]
    with speaking("de"):
        assert sent_words(told(refused=why), AT)["why"].startswith("Studie 00112233 ")


def test_what_is_done_is_in_the_pacs_and_at_all_whom_it_goes_to() -> None:
    home = told(safe=10, spooled=0)
    for has_all in (True, False):
        to = StudyAddress((RecipientState("South", True, has_all, 900),))
        assert sent_words(evolve(home, address=to), AT)["done"] is has_all
    assert sent_words(home, AT)["done"]
    assert not sent_words(told(), AT)["done"]
    assert not sent_words(told(safe=10, spooled=100, beside=1), AT)["done"]


def test_what_is_kept_beside_is_said() -> None:
    said = sent_words(told(safe=10, spooled=100, beside=2), AT)
    assert said["state"] == "beside"
    assert said["advice"].startswith("2 images came with the numbers of others")


def test_what_others_say_is_cleaned() -> None:
    assert sent_words(told(refused="\x1b[31mred"), AT)["why"] == r"\x1b[31mred."


def test_what_needs_somebody_is_said_above_all() -> None:
    assert attention_words([told(), told(cancelled="rita"), told(failing())]) == ""
    assert attention_words([told(refused="no"), told()]).startswith("1 study does not go on")
    assert attention_words([told(refused="no")] * 2).startswith("2 studies do not go on")


def test_to_whom_it_goes_and_how_far_each_is() -> None:
    nobody = sent_words(told(), AT)
    assert (nobody["recipients"], nobody["to"][:6]) == ([], "nobody")
    recipients = (
        RecipientState("North", is_known=True, has_all=True, share=1000),
        RecipientState("South", is_known=True, has_all=False, share=425),
        RecipientState("East", is_known=True, has_all=False, share=0),
        RecipientState("Gone\x1b", is_known=False, has_all=False, share=0),
    )
    one = evolve(told(), address=StudyAddress(recipients, is_stat=True, replicas=2))
    said = sent_words(one, AT)
    assert said["to"] == "STAT: before all others"
    assert said["copies"] == "here alone; also at 2 replicas"
    assert said["recipients"] == [
        {"name": "North", "how": "has all of it"},
        {"name": "South", "how": "has 42 % of it"},
        {"name": "East", "how": "has nothing of it yet"},
        {"name": "Gone\\x1b", "how": "no hospital of the network is called so now"},
    ]
