"""How far a study is, out of all that is known of it: made by hand."""

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.ids import StudyId
from p2pacs.publish.progress import PublishProgress
from p2pacs.swarm.scheduling.priority import Priority
from p2pacs.wire.messages.messages import SentNoted
from peer.ingest.outgoing_state import (
    BROKER,
    PACS,
    Attempt,
    OutgoingState,
    OutgoingStudy,
    RecipientState,
    StudyAddress,
    outgoing_study,
    study_address,
)
from peer.spool.recipient_index import AddressedStudy, CopyState
from peer.spool.recipient_rules import Recipients
from peer.spool.records import SpooledStudy
from tests.peer.ingest.bench import NORTH, REPLICA, SOUTH

NOW = 1_700_000_000_000
STUDY = StudyId(bytes(16))
SPOOLED = SpooledStudy(
    uid="1.2.1",
    study=STUDY,
    version=1,
    newest=10,
    published=10,
    safe=0,
    instances=10,
    bytes=1000,
    beside=0,
    callers=("CT1",),
    refused=None,
    number=1,
    spooled=1000,
    began=NOW - 120_000,
    latest=NOW - 60_000,
    cancelled=None,
)


def told(attempt: Attempt | None = None, *, linked: bool = True, **spooled: Any) -> OutgoingStudy:
    study = evolve(SPOOLED, **spooled)
    return outgoing_study(study, attempt or Attempt(), now=NOW, linked=linked, quiet=10.0)


def failing() -> Attempt:
    attempt = Attempt()
    attempt.failed("the line is cut", 1.0)
    return attempt


@pytest.mark.parametrize(
    ("one", "state"),
    [
        (told(latest=NOW - 1000, published=0), OutgoingState.COMING),
        (told(latest=NOW - 1000, published=0, linked=False), OutgoingState.WAITING),
        (told(published=0, study=None, linked=False), OutgoingState.WAITING),
        (told(failing(), published=0, linked=False), OutgoingState.WAITING),
        (told(failing(), published=0), OutgoingState.FAILING),
        (told(failing(), latest=NOW), OutgoingState.FAILING),
        (told(published=5), OutgoingState.PUBLISHING),
        (told(), OutgoingState.PUBLISHED),
        (told(linked=False), OutgoingState.WAITING),
        (told(safe=10, spooled=0), OutgoingState.STORED),
        (told(safe=10, spooled=0, linked=False), OutgoingState.STORED),
        (told(refused="it is not yours"), OutgoingState.REFUSED),
        (told(failing(), cancelled="rita", refused="no"), OutgoingState.CANCELLED),
    ],
)
def test_where_it_is(one: OutgoingStudy, state: OutgoingState) -> None:
    assert one.state is state


def test_what_somebody_may_do() -> None:
    assert (told().can_cancel, told().can_retry, told().can_remove) == (True, False, False)
    stuck = told(failing(), published=0)
    assert (stuck.can_cancel, stuck.can_retry, stuck.can_remove) == (True, True, False)
    for over in (told(refused="no"), told(cancelled="rita")):
        assert (over.can_cancel, over.can_retry, over.can_remove) == (False, True, True)
    home = told(safe=10, spooled=0)
    assert (home.can_cancel, home.can_retry, home.can_remove) == (False, False, False)
    assert told(safe=10, spooled=100, beside=1).can_remove, "what is kept beside"


def test_why_and_when_again() -> None:
    attempt = failing()
    one = told(attempt, published=0)
    assert (one.why, one.again) == ("the line is cut", 1.0)
    attempt.succeeded()
    assert told(attempt).why == ""
    assert told(refused="it is not yours").why == "it is not yours"
    assert told(cancelled="rita").why == "cancelled by rita"


def test_why_the_pacs_does_not_have_it_yet() -> None:
    attempt = Attempt()
    attempt.noted(SentNoted(0, 1, 0, [], [], [], "the PACS\x1b is away"))
    one = told(attempt)
    assert (one.why, one.is_delayed) == ("the PACS\\x1b is away", True)
    assert told(attempt, mixed=True).why == one.why
    for other in (told(attempt, linked=False), told(attempt, safe=10), told(attempt, published=5)):
        assert (other.why, other.is_delayed) == ("", False)
    attempt.noted(SentNoted(0, 1, 0, [], [], [], ""))
    assert (told(attempt).why, told(attempt).is_delayed) == ("", False)


async def test_how_much_of_it_is_in_the_network() -> None:
    progress = PublishProgress(STUDY, "1.2.1")
    attempt = Attempt()
    attempt.begin(progress)
    progress.instances_done = 4
    assert told(attempt, published=0).published == 4
    assert told(attempt, published=10).published == 10
    progress.instances_done = 99
    assert told(attempt, published=5).published == 10


def test_who_has_all_of_it() -> None:
    attempt = Attempt()
    assert told(attempt).copies == ()
    attempt.noted(SentNoted(0, 1, 0, [], [], [], ""))
    assert told(attempt).copies == (BROKER,)
    assert told(attempt, version=2).copies == (), "not of the newest version"
    assert told(attempt, published=5).copies == (), "more came"
    assert told(safe=10, spooled=0).copies == (BROKER, PACS)


@given(
    published=st.integers(0, 10),
    safe=st.integers(0, 10),
    refused=st.none() | st.just("no"),
    cancelled=st.none() | st.just("rita"),
    surroundings=st.tuples(st.booleans(), st.booleans()),
)
def test_there_is_always_one_way_out(
    published: int,
    safe: int,
    refused: str | None,
    cancelled: str | None,
    surroundings: tuple[bool, bool],
) -> None:
    """A study goes on by itself and can be stopped, or it is home, or somebody can have it sent
    or removed."""
    failed, linked = surroundings
    attempt = failing() if failed else Attempt()
    one = told(attempt, linked=linked, published=published, safe=safe, refused=refused,
               cancelled=cancelled)  # fmt: skip
    assert one.can_cancel + one.is_stored + (one.can_retry and one.can_remove) == 1
    assert one.published <= one.instances


def test_a_study_of_different_patients_says_so_and_goes_on() -> None:
    one = told(mixed=True)
    assert (one.state, one.can_cancel) == (OutgoingState.PUBLISHED, True)
    assert "different patients" in one.why
    assert told(failing(), mixed=True).why == "the line is cut"
    assert not told().why


def test_how_far_recipients_and_replicas_are() -> None:
    members = {one.address: one for one in (NORTH, SOUTH, REPLICA)}
    addressed = AddressedStudy(
        Recipients(("South", "North", "Nobody"), Priority.STAT),
        by_rule=False,
        unknown=("Nobody",),
        members=(SOUTH.address, NORTH.address),
        copies=(
            CopyState(SOUTH.address, version=1, share=420, seen=0),
            CopyState(NORTH.address, version=2, share=1000, seen=0),
            CopyState(REPLICA.address, version=2, share=1000, seen=0),
        ),
    )
    assert study_address(addressed, 2, members) == StudyAddress(
        recipients=(
            RecipientState("North", is_known=True, has_all=True, share=1000),
            RecipientState("South", is_known=True, has_all=False, share=420),
            RecipientState("Nobody", is_known=False, has_all=False, share=0),
        ),
        is_stat=True,
        replicas=1,
    )
    nothing_out = study_address(addressed, 0, members)
    assert not any(to.has_all for to in nothing_out.recipients)
    assert nothing_out.replicas == 0
