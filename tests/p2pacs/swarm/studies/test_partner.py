from itertools import pairwise

import hypothesis.strategies as st
from hypothesis import given

from p2pacs.swarm.studies.partner import ranges


@given(st.lists(st.integers(0, 60)))
def test_ranges_say_the_same_in_as_few_pairs_as_can_be(numbers: list[int]) -> None:
    """In any order, and whatever is said twice."""
    pairs = ranges(numbers)
    assert [n for first, count in pairs for n in range(first, first + count)] == sorted({*numbers})
    assert all(first + count < later for (first, count), (later, _) in pairwise(pairs))
