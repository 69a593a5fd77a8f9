from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from p2pacs.study.study_index import InstanceEntry
from peer.retrieval.instances.fetch_order import (
    coarse_to_fine,
    in_order,
    looked_at,
    outwards,
    previews,
    spread,
)
from peer.retrieval.instances.live_index import Known


def known(
    number: int, series: int = 1, *, place: int = 0, levels: Sequence[tuple[int, tuple[int, ...]]]
) -> Known:
    entry = InstanceEntry("1.1", f"1.2.{number}", f"1.3.{series}", "1.4", b"", 1, (), b"{}")
    chunks = tuple(number for _, numbers in levels for number in numbers)
    return Known(number, entry, chunks, series, tuple(levels), place)


def slices(count: int, series: int = 1, first: int = 1) -> list[Known]:
    """Each with a preview (chunk 1000 + n) and the rest (chunk n)."""
    return [
        known(n, series, place=n, levels=((2, (1000 + n,)), (0, (n,))))
        for n in range(first, first + count)
    ]


def test_coarse_to_fine() -> None:
    assert spread(range(10)) == [5, 1, 9, 3, 7, 4, 6, 2, 8, 0]
    assert spread([1, 2, 3]) == [2, 1, 3]
    assert spread([]) == []


def test_from_the_middle_outwards() -> None:
    assert outwards([1, 2, 3, 4, 5]) == [3, 2, 4, 1, 5]
    assert outwards([1, 2]) == [2, 1]
    assert outwards([]) == []


@given(st.integers(0, 600))
def test_every_item_comes_once_and_the_sheet_fills_evenly(count: int) -> None:
    order = spread(range(count))
    assert sorted(order) == list(range(count))
    if count:
        assert order[0] == count // 2
    for stride in (8, 4, 2):
        coarse = len([n for n in range(count) if (n - count // 2) % stride == 0])
        seen = sorted(order[:coarse])
        assert all(b - a == stride for a, b in pairwise(seen))
        assert not seen or (seen[0] < stride and count - seen[-1] <= stride)


def test_every_series_shows_its_middle_first() -> None:
    study = [*slices(40), *slices(5, series=2, first=41), *slices(16, series=3, first=46)]
    order = [one.number for one in coarse_to_fine(study)]
    assert order[:3] == [21, 43, 54]
    assert order[3:8] == [13, 29, 5, 37, 46]


def test_the_order_within_a_series_is_that_of_the_instance_numbers() -> None:
    study = [known(n, 1, place=9 - n, levels=((0, (n,)),)) for n in range(1, 6)]
    study.append(known(6, 2, levels=((0, (6,)),)))
    study.append(known(7, 2, levels=((0, (7,)),)))
    assert [[one.number for one in series] for series in in_order(study)] == [
        [5, 4, 3, 2, 1],
        [6, 7],
    ]


def test_previews_alone_are_not_the_images() -> None:
    plain = known(99, 2, levels=((0, (500,)),))
    assert previews([*slices(5), plain]) == [1003, 1001, 1005, 1002, 1004]


def test_many_frames_of_one_instance_come_coarse_to_fine() -> None:
    chunks = tuple(range(10, 30))
    assert previews([known(1, levels=((2, chunks), (0, (1,))))]) == spread(chunks)


def test_what_is_looked_at_comes_from_its_middle_level_by_level() -> None:
    study = [
        known(n, place=n, levels=((3, (30 + n,)), (1, (10 + n,)), (0, (n, 99)))) for n in (1, 2, 3)
    ]
    assert list(looked_at(study)) == [32, 31, 33, 32, 31, 33, 12, 11, 13, 2, 99, 1, 99, 3, 99]
    assert list(looked_at([])) == []


levels = st.lists(
    st.tuples(st.integers(0, 3), st.lists(st.integers(0, 99), max_size=4).map(tuple)),
    min_size=1,
    unique_by=lambda level: level[0],
).map(lambda made: sorted(made, reverse=True))


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(-2, 5), levels), max_size=20))
def test_any_study_comes_whole_previews_first(
    made: list[tuple[int, int, list[tuple[int, tuple[int, ...]]]]],
) -> None:
    study = [known(n, s, place=p, levels=ls) for n, (s, p, ls) in enumerate(made, 1)]
    first = {n for one in study if len(one.levels) > 1 for n in one.levels[0][1]}
    assert set(previews(study)) == first
    order = list(dict.fromkeys(looked_at(study)))
    assert set(order) == {n for one in study for n in one.chunks}
    assert set(order[: len(first)]) == first
