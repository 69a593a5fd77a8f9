from hypothesis import given
from hypothesis import strategies as st

from p2pacs.accounts.tally import EVERYBODY, Tally, TallyTuning, Told


def test_three_thousand_failures_are_four_lines() -> None:
    tally = Tally()
    told = [tally.failed("10.0.0.1", float(at)) for at in range(3000)]
    assert [one for one in told if one] == [Told("10.0.0.1", count) for count in (1, 10, 100, 1000)]


def test_many_strangers_are_counted_together() -> None:
    tally = Tally(TallyTuning(lines=2))
    told = [tally.failed(str(number), 0.0) for number in range(14)]
    assert [one for one in told if one] == [
        Told("0", 1),
        Told("1", 1),
        Told(EVERYBODY, 1),
        Told(EVERYBODY, 10),
    ]


def test_counting_starts_anew_after_the_window() -> None:
    tally = Tally()
    assert tally.failed("a", 0.0) == Told("a", 1)
    assert tally.failed("a", 3599.0) is None
    assert tally.failed("a", 3600.0) == Told("a", 1)


@given(st.lists(st.integers(0, 50)))
def test_lines_and_memory_are_bounded(sources: list[int]) -> None:
    tally = Tally(TallyTuning(lines=5, sources=4))
    told = [tally.failed(str(source), 0.0) for source in sources]
    assert sum(one is not None for one in told) <= 5 + 3
    assert len(tally) <= 4
