from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from attrs import evolve

from p2pacs.dimse.commitment import FailureReason, Reference
from peer.commitment.requests import RequestKey, WaitingRequest
from peer.commitment.states import MOST, list_states, note_states, states_of
from peer.commitment.verdict import Verdict
from peer.db import PeerDatabase, connect
from peer.spool.instance_progress import InstanceProgress
from peer.spool.records import StudyCommitment

CT = "1.2.840.10008.5.1.4.1.1.2"
REFERENCES = [Reference(CT, f"1.2.{number}") for number in range(5)]
ASKED = StudyCommitment("CT1", 1_000, None, 1, 0, 2)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[PeerDatabase]:
    with closing(connect(tmp_path / "peer.db")) as opened:
        yield opened


def kept(reference: Reference, study: str) -> InstanceProgress:
    return InstanceProgress(reference.uid, CT, study, None, False, False, 0, False)


def test_each_study_of_a_request_has_its_own_counts() -> None:
    first, second, third, fourth, unknown = REFERENCES
    failed = [(third, FailureReason.PROCESSING_FAILURE), (unknown, FailureReason.NO_SUCH_INSTANCE)]
    verdict = Verdict((first, second), tuple(failed), (fourth,))
    request = WaitingRequest(RequestKey("CT1", "1.9"), 1_000, tuple(REFERENCES))
    known = [kept(first, "1.71"), kept(third, "1.71"), kept(second, "1.72"), kept(fourth, "1.72")]
    assert states_of(request, verdict, known) == {
        "1.71": StudyCommitment("CT1", 1_000, None, 1, 1, 0),
        "1.72": StudyCommitment("CT1", 1_000, None, 1, 0, 1),
    }
    assert states_of(request, verdict, []) == {}


def note(database: PeerDatabase, **states: StudyCommitment) -> None:
    database.transact(partial(note_states, states=states))


def test_the_last_request_of_each_who_asks_counts(database: PeerDatabase) -> None:
    told = evolve(ASKED, answered=2_000, safe=3, waiting=0)
    other = evolve(ASKED, caller="MR1", asked=1_500)
    note(database, a=ASKED)
    note(database, a=told)
    note(database, a=other, b=other)
    note(database, a=evolve(ASKED, asked=500))  # an older one that still waits
    states = database.transact(partial(list_states, studies=["a", "c"]))
    assert states == {"a": [other, told]}
    again = evolve(ASKED, asked=3_000)
    note(database, a=again)
    assert database.transact(partial(list_states, studies=["a"])) == {"a": [again, other]}
    assert not database.transact(partial(list_states, studies=[]))


def test_only_so_many_are_remembered(database: PeerDatabase) -> None:
    note(database, **{f"s{number}": evolve(ASKED, asked=number) for number in range(MOST + 2)})
    uids = [f"s{number}" for number in range(MOST + 2)]
    assert set(uids) - database.transact(partial(list_states, studies=uids)).keys() == {"s0", "s1"}
