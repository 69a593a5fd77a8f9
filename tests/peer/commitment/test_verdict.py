from collections.abc import Sequence

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.dimse.commitment import FailureReason, Reference
from peer.commitment.verdict import Verdict
from peer.commitment.verdict import judge as judge_by
from peer.spool.instance_progress import InstanceProgress

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
KEPT = InstanceProgress(
    uid="1.2.3",
    sop_class=CT,
    study_uid="1.2",
    study=None,
    is_beside=False,
    is_safe=False,
    version=0,
    is_refused=False,
)
ONE = Reference(CT, "1.2.3")


def judge(references: Sequence[Reference], kept: Sequence[InstanceProgress]) -> Verdict:
    """By what the PACS has."""
    return judge_by(references, kept, lambda one: one.is_safe)


def test_what_others_hold_counts_where_it_is_enough() -> None:
    assert judge_by([ONE], [KEPT], lambda _one: True).committed == (ONE,)


def test_what_is_safe_is_committed() -> None:
    verdict = judge([ONE], [evolve(KEPT, is_safe=True)])
    assert (verdict.committed, verdict.failed, verdict.waiting) == ((ONE,), (), ())


def test_what_is_on_its_way_waits_and_has_failed_if_it_is_too_late() -> None:
    verdict = judge([ONE], [KEPT])
    assert (verdict.committed, verdict.failed, verdict.waiting) == ((), (), (ONE,))
    assert verdict.report("1.9").failed == ((ONE, FailureReason.PROCESSING_FAILURE),)


def test_what_never_came_is_told_to_be_unknown() -> None:
    assert judge([ONE], []).failed == ((ONE, FailureReason.NO_SUCH_INSTANCE),)


def test_another_sop_class_than_came_is_a_conflict() -> None:
    other = Reference(MR, "1.2.3")
    verdict = judge([ONE, other], [evolve(KEPT, is_safe=True)])
    assert verdict.committed == (ONE,)
    assert verdict.failed == ((other, FailureReason.CLASS_CONFLICT),)


def test_of_two_under_one_uid_neither_is_committed() -> None:
    kept = [evolve(KEPT, is_safe=True), evolve(KEPT, is_beside=True)]
    assert judge([ONE], kept).failed == ((ONE, FailureReason.PROCESSING_FAILURE),)


def test_one_uid_in_two_studies_is_safe_when_both_are() -> None:
    elsewhere = evolve(KEPT, study_uid="1.3")
    assert judge([ONE], [evolve(KEPT, is_safe=True), elsewhere]).waiting == (ONE,)
    safe = [evolve(one, is_safe=True) for one in (KEPT, elsewhere)]
    assert judge([ONE], safe).committed == (ONE,)


def test_what_may_not_be_sent_has_failed_unless_it_is_safe() -> None:
    refused = evolve(KEPT, is_refused=True)
    assert judge([ONE], [refused]).failed == ((ONE, FailureReason.PROCESSING_FAILURE),)
    assert judge([ONE], [evolve(refused, is_safe=True)]).committed == (ONE,)


uids = st.integers(1, 5).map(lambda number: f"1.2.{number}")
references = st.lists(st.builds(Reference, st.sampled_from([CT, MR]), uids), unique=True)
kept = st.lists(
    st.builds(
        InstanceProgress,
        uid=uids,
        sop_class=st.sampled_from([CT, MR]),
        study_uid=uids,
        study=st.none(),
        is_beside=st.booleans(),
        is_safe=st.booleans(),
        version=st.integers(0, 3),
        is_refused=st.booleans(),
    )
)


@given(references, kept)
def test_each_is_told_once_and_nothing_is_committed_that_is_not_safe(
    asked: list[Reference], known: list[InstanceProgress]
) -> None:
    verdict = judge(asked, known)
    failed = [one for one, _ in verdict.failed]
    assert sorted([*verdict.committed, *failed, *verdict.waiting]) == sorted(asked)
    for reference in verdict.committed:
        same = [one for one in known if one.uid == reference.uid]
        assert same
        assert all(one.is_safe and one.sop_class == reference.sop_class for one in same)
    report = verdict.report("1.9")
    assert report.committed == verdict.committed
    assert len(report.committed) + len(report.failed) == len(asked)
