from hypothesis import given
from hypothesis import strategies as st

from p2pacs.swarm.scheduling.rarity_queues import LAST_RANK, RarityQueues

entries = st.lists(st.tuples(st.integers(0, LAST_RANK), st.integers(0, 99)), max_size=30)


@given(entries)
def test_candidates_come_by_rank_then_in_turn(pushed: list[tuple[int, int]]) -> None:
    candidates = RarityQueues()
    for rank, number in pushed:
        candidates.push(rank, number)
    popped = [entry for _ in pushed if (entry := candidates.pop())]
    assert popped == sorted(pushed, key=lambda entry: entry[0])
    assert candidates.pop() is None


@given(entries, st.integers(0, LAST_RANK))
def test_what_ranks_behind_stays(pushed: list[tuple[int, int]], most: int) -> None:
    candidates = RarityQueues()
    for rank, number in pushed:
        candidates.push(rank, number)
    front = []
    while entry := candidates.pop(most):
        front.append(entry)
    assert front == sorted((e for e in pushed if e[0] <= most), key=lambda entry: entry[0])
    rest = []
    while entry := candidates.pop():
        rest.append(entry)
    assert len(front) + len(rest) == len(pushed)


def test_what_is_pushed_later_may_come_first() -> None:
    candidates = RarityQueues()
    candidates.push(3, 1)
    assert candidates.pop() == (3, 1)
    candidates.push(0, 9)
    candidates.push(2, 8)
    assert [candidates.pop(), candidates.pop()] == [(0, 9), (2, 8)]
