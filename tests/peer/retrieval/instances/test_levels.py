from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.study.study_index import InstanceEntry
from peer.retrieval.instances.levels import Levels, Reached
from peer.retrieval.instances.live_index import Known


def known(number: int, *levels: tuple[int, tuple[int, ...]], series: int = 1) -> Known:
    entry = InstanceEntry("1.1", f"1.2.{number}", f"1.3.{series}", "1.4", b"", 1, (), b"{}")
    chunks = tuple(number for level, numbers in levels for number in numbers)
    return Known(number, entry, chunks, series, levels)


ONE = known(1, (2, (0,)), (0, (3, 4)))
TWO = known(2, (2, (0, 1)), (0, (4, 5)))
PLAIN = known(3, (0, (6,)))


def test_an_instance_is_told_when_it_is_known_and_when_it_gets_finer() -> None:
    levels = Levels()
    assert levels.news([ONE, TWO], {0}) == [Reached(ONE, 2), Reached(TWO, None)]
    assert levels.previews == 1
    assert levels.news([ONE, TWO], {0}) == []
    assert levels.news([ONE, TWO], {0, 3, 4}) == [Reached(ONE, 0)]
    assert levels.news([ONE, TWO, PLAIN], {0, 1, 3, 4, 5}) == [
        Reached(PLAIN, None),
        Reached(TWO, 0),
    ]
    assert levels.previews == 2
    assert not levels.whole
    assert levels.news([ONE, TWO, PLAIN], range(7)) == [Reached(PLAIN, 0)]
    assert levels.whole


def test_nothing_is_at_its_finest_without_what_is_coarser() -> None:
    levels = Levels()
    assert levels.news([ONE], {3, 4}) == [Reached(ONE, None)]
    assert levels.news([ONE], {0, 3, 4}) == [Reached(ONE, 0)]


def test_an_instance_that_changed_begins_anew() -> None:
    levels = Levels()
    levels.news([ONE, TWO], {0, 1})
    changed = evolve(ONE, levels=((2, (9,)), (0, (3,))))
    assert levels.news([changed, TWO], {0, 1, 3, 4}) == [Reached(changed, None)]
    assert levels.previews == 1
    assert levels.news([changed, TWO], {0, 1, 3, 4, 5, 9}) == [
        Reached(changed, 0),
        Reached(TWO, 0),
    ]
    assert levels.whole


chunks = st.lists(st.integers(0, 30), max_size=4).map(tuple)


@given(
    st.lists(st.tuples(chunks, chunks, chunks), max_size=8),
    st.lists(st.integers(0, 30), unique=True),
)
def test_levels_only_get_finer_and_end_at_the_whole(
    made: list[tuple[tuple[int, ...], ...]], arriving: list[int]
) -> None:
    study = [known(n, (3, a), (1, b), (0, c)) for n, (a, b, c) in enumerate(made, 1)]
    levels = Levels()
    have: set[int] = set()
    last: dict[int, int] = {}
    for number in [None, *arriving]:
        have |= set() if number is None else {number}
        for news in levels.news(study, have):
            if news.level is not None:
                assert news.level < last.get(news.known.number, 99)
                last[news.known.number] = news.level
    for one in study:
        here = [
            level
            for place, (level, _) in enumerate(one.levels)
            if all(n in have for _, numbers in one.levels[: place + 1] for n in numbers)
        ]
        assert last.get(one.number) == (here[-1] if here else None)
    assert levels.whole == all(have.issuperset(one.chunks) for one in study)
    assert levels.previews == sum(have.issuperset(one.levels[0][1]) for one in study)
