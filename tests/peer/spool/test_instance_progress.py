from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from p2pacs.ids import StudyId
from peer.ingest.intake import take
from peer.spool.spool import Spool
from tests.conformance.instances import make

STUDY, OTHER = "1.2.826.1", "1.2.826.2"
OF = StudyId(bytes(range(StudyId.size)))


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with closing(Spool(tmp_path, reserve=0)) as opened:
        yield opened


def test_how_far_instances_are(spool: Spool) -> None:
    first, second = make(STUDY, number=1), make(STUDY, number=2)
    take(spool, first, "CT1")
    (one,) = spool.index.find_progress([first.sop_instance_uid, "1.2.3.4"])
    assert (one.uid, one.sop_class) == (first.sop_instance_uid, first.sop_class_uid)
    assert (one.study_uid, one.study, one.version) == (STUDY, None, 0)
    assert (one.is_safe, one.is_beside, one.is_refused) == (False, False, False)

    spool.index.admitted(STUDY, OF)
    spool.index.version_out(STUDY, 3)
    spool.index.all_out(STUDY, 1)
    take(spool, second, "CT1")
    uids = [first.sop_instance_uid, second.sop_instance_uid]
    assert [one.version for one in spool.index.find_progress(uids)] == [3, 0]
    assert {one.study for one in spool.index.find_progress(uids)} == {OF}
    spool.safe(STUDY, 1)
    assert [one.is_safe for one in spool.index.find_progress(uids)] == [True, False]


def test_what_came_under_the_uid_of_another_is_never_safe(spool: Spool) -> None:
    take(spool, make(STUDY), "CT1")
    take(spool, make(STUDY, name="Other"), "CT1")
    spool.index.admitted(STUDY, OF)
    spool.index.version_out(STUDY, 1)
    spool.index.all_out(STUDY, 9)
    spool.safe(STUDY, 9)
    found = spool.index.find_progress([make(STUDY).sop_instance_uid])
    assert [(one.is_beside, one.is_safe, one.version) for one in found] == [
        (False, True, 1),
        (True, False, 0),
    ]


def test_what_may_not_be_sent_is_told(spool: Spool) -> None:
    take(spool, make(STUDY), "CT1")
    spool.index.refuse(STUDY, "not yours")
    (one,) = spool.index.find_progress([make(STUDY).sop_instance_uid])
    assert one.is_refused


def test_more_than_one_question_asks_for(spool: Spool) -> None:
    made = [make(STUDY, number=number) for number in range(1, 4)]
    for one in made:
        take(spool, one, "CT1")
    strangers = [f"1.2.9.{number}" for number in range(1200)]
    uids = [made[0].sop_instance_uid, *strangers, *(one.sop_instance_uid for one in made[1:])]
    assert [one.uid for one in spool.index.find_progress(uids)] == [
        one.sop_instance_uid for one in made
    ]
