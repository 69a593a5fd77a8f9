from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from peer.commands.get.sheet_layout import FEW, MOST, Item, choose, every
from peer.retrieval.instances.fetch_order import turn


def series(count: int, number: int = 1, first: int = 1, frames: int = 1) -> list[Item]:
    return [Item(n, number, n, frames) for n in range(first, first + count)]


def test_all_images_of_each_series_in_order() -> None:
    items = [*series(3, 2, first=4), *series(3)]
    items[0] = Item(4, 2, 99, 1)
    layout = choose(items)
    assert [cell.number for cell in layout.cells] == [1, 2, 3, 5, 6, 4]
    assert [cell.label for cell in layout.cells] == ["1", "2", "3", "5", "6", "99"]
    assert choose([Item(4, 1, 0, 1)]).cells[0].label == "(4)"
    assert (layout.images, layout.stride) == (6, 1)
    assert choose([]).cells == ()


def test_a_large_study_shows_what_comes_first() -> None:
    layout = choose([*series(2000), *series(3, 2, first=2001)])
    assert (layout.images, layout.stride) == (2003, 8)
    assert 200 < len(layout.cells) <= MOST
    first = [cell.number for cell in layout.cells if cell.series == 1]
    assert {b - a for a, b in pairwise(first)} == {8}
    # The previews that come in the first round are just these.
    assert first == [n + 1 for n in range(2000) if turn(n, 2000)[0] < 2]
    assert [cell.number for cell in layout.cells if cell.series == 2] == [2002]


def test_the_first_sheet_waits_for_every_eighth() -> None:
    cells = choose(series(40)).cells
    assert [cell.number for cell in cells if cell.early] == [5, 13, 21, 29, 37]
    assert all(cell.early for cell in choose(series(2000)).cells)


def test_many_instances_show_their_middle_frames_few_show_all() -> None:
    many = choose(series(FEW + 1, frames=9))
    assert {cell.frame for cell in many.cells} == {5}
    assert many.cells[0].label == "1 frame 5"
    few = choose(series(2, frames=9))
    assert [(cell.number, cell.frame) for cell in few.cells] == [
        (number, frame) for number in (1, 2) for frame in range(1, 10)
    ]
    assert few.images == 18
    assert 200 < len(choose(series(1, frames=65_536)).cells) <= MOST


def test_what_has_nothing_to_show_has_its_place() -> None:
    cells = choose([Item(1, 1, 1, 0), Item(2, 1, 2, 1)]).cells
    assert [(cell.number, cell.frame) for cell in cells] == [(1, 0), (2, 1)]


def test_more_series_than_cells() -> None:
    layout = choose([Item(n, n, 1, 1) for n in range(1, 2 * MOST + 1)])
    assert len(layout.cells) == MOST
    assert layout.cells[-1].number >= 2 * MOST - 2


@given(st.integers(1, 500), st.sampled_from([1, 2, 4, 8, 16, 1024]))
def test_the_middle_is_always_there(count: int, stride: int) -> None:
    places = every(count, stride)
    assert count // 2 in places
    assert places[0] < stride
    assert count - places[-1] <= stride


items = st.lists(st.tuples(st.integers(1, 4), st.integers(-3, 3), st.integers(0, 200)), max_size=60)


@given(items)
def test_any_study_fits(made: list[tuple[int, int, int]]) -> None:
    study = [Item(n, s, place, frames) for n, (s, place, frames) in enumerate(made, 1)]
    layout = choose(study)
    assert len(layout.cells) <= MOST
    assert len(set(layout.cells)) == len(layout.cells)
    assert {cell.series for cell in layout.cells} == {item.series for item in study}
    assert [c.series for c in layout.cells] == sorted(c.series for c in layout.cells)
    frames = {item.number: item.frames for item in study}
    assert all(min(1, frames[c.number]) <= c.frame <= frames[c.number] for c in layout.cells)
    early = Counter(cell.series for cell in layout.cells if cell.early)
    assert early.keys() == {item.series for item in study}
