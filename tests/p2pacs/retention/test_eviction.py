from hypothesis import given
from hypothesis import strategies as st

from p2pacs.ids import StudyId
from p2pacs.retention.eviction import EvictionCandidate, choose


def candidate(
    number: int, size: int = 10, used: float = 0, *, pinned: bool = False, copies: int = 1
) -> EvictionCandidate:
    return EvictionCandidate(StudyId(bytes([number]) * 16), size, used, pinned, copies)


def test_longest_unused_first_and_no_more_than_needed() -> None:
    new, old, older = candidate(1, used=3), candidate(2, used=2), candidate(3, used=1)
    assert choose([new, old, older], 15) == [older.study, old.study]
    assert choose([new, old, older], 10) == [older.study]
    assert choose([new, old, older], 0) == []


def test_never_pinned_and_never_the_last_copy() -> None:
    pinned, last = candidate(1, pinned=True), candidate(2, copies=0)
    free = candidate(3, used=9)
    assert choose([pinned, last, free], 10) == [free.study]


def test_nothing_goes_if_it_would_not_be_enough() -> None:
    assert choose([candidate(1), candidate(2)], 21) == []


CANDIDATES = st.lists(
    st.builds(
        EvictionCandidate,
        study=st.binary(min_size=16, max_size=16).map(StudyId),
        bytes=st.integers(0, 100),
        last_used=st.floats(0, 10),
        pinned=st.booleans(),
        copies=st.integers(0, 2),
    ),
    unique_by=lambda each: each.study,
)


@given(CANDIDATES, st.integers(0, 300))
def test_rules_hold_for_all(candidates: list[EvictionCandidate], need: int) -> None:
    chosen = choose(candidates, need)
    by_id = {each.study: each for each in candidates}
    gone = [by_id[study] for study in chosen]
    assert len(set(chosen)) == len(chosen)
    assert all(not each.pinned and each.copies for each in gone)
    may_go = sum(each.bytes for each in candidates if not each.pinned and each.copies)
    freed = sum(each.bytes for each in gone)
    assert freed >= need if may_go >= need else not chosen
    if gone:
        assert freed - gone[-1].bytes < need
    assert [each.last_used for each in gone] == sorted(each.last_used for each in gone)
