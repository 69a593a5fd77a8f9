import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.pages.plot import BOTTOM, HEIGHT, LABELS, LEFT, TOP, WIDTH, plot_of, ticks

VALUES = st.integers(0, 10**18) | st.floats(0, 1e18, allow_nan=False).filter(
    lambda one: one == 0 or one > 1e-6
)


@pytest.mark.parametrize(
    ("top", "marks"),
    [
        (0, [0, 1]),
        (1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (7, [0, 2, 4, 6, 8]),
        (100, [0, 20, 40, 60, 80, 100]),
        (101, [0, 50, 100, 150]),
    ],
)
def test_a_scale_has_round_marks(top: float, marks: list[float]) -> None:
    assert ticks(top) == pytest.approx(marks)


@given(VALUES, st.integers(2, 10))
def test_a_scale_reaches_over_its_values_in_few_even_steps(top: float, most: int) -> None:
    marks = ticks(top, most)
    assert marks[0] == 0
    assert 2 <= len(marks) <= most + 1
    assert marks[-1] >= top * (1 - 1e-6)
    step = marks[1]
    assert top == 0 or marks[-1] - step < top  # none stands above for nothing
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(mantissa - one) for one in (1, 2, 5)) < 1e-6
    assert marks == pytest.approx([step * number for number in range(len(marks))])


@given(st.lists(st.tuples(st.integers(0, 10**15), st.integers(0, 10**15)), max_size=400))
def test_bars_stay_inside_and_stand_for_their_values(values: list[tuple[int, int]]) -> None:
    plot = plot_of(values)
    assert len(plot.times) <= LABELS
    top, slack = plot.scale[-1].value, 0.02
    for bar in plot.bars:
        assert LEFT <= bar.x <= bar.x + bar.width <= WIDTH + slack
        assert TOP - slack <= bar.y
        assert bar.y + bar.height <= HEIGHT - BOTTOM + slack
    drawn = sum(bar.height for bar in plot.bars) * top / (HEIGHT - TOP - BOTTOM)
    rounding = len(plot.bars) * 0.005 * top / (HEIGHT - TOP - BOTTOM)
    assert drawn == pytest.approx(sum(map(sum, values)), rel=1e-6, abs=rounding + 1e-6)
    for tick in plot.scale:
        assert TOP - slack <= tick.at <= HEIGHT - BOTTOM + slack
