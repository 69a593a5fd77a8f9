import pytest
from hypothesis import given
from hypothesis import strategies as st

from peer.pages.sources.storage import DAY, StoreUse, forecast


def noted(*used: int, every: float = DAY) -> list[StoreUse]:
    return [StoreUse(1e9 + number * every, size) for number, size in enumerate(used)]


def test_a_store_that_grows_evenly_is_full_when_it_is_full() -> None:
    found = forecast(noted(100, 200, 300), 300, 1000)
    assert found.growth == pytest.approx(100)
    assert found.days == pytest.approx(7)
    assert found.percent == 30


@pytest.mark.parametrize(
    ("history", "capacity"),
    [
        (noted(), 1000),
        (noted(100), 1000),
        (noted(100, 900, every=60), 1000),
        (noted(300, 200, 100), 1000),
        (noted(100, 200, 300), None),
        (noted(100, 100, 101), 10**9),
    ],
)
def test_otherwise_nobody_can_tell(history: list[StoreUse], capacity: int | None) -> None:
    assert forecast(history, 300, capacity).days is None


@given(st.lists(st.integers(0, 2**50), max_size=30), st.integers(0, 2**50), st.integers(1, 2**50))
def test_it_is_never_in_the_past(used: list[int], now: int, capacity: int) -> None:
    found = forecast(noted(*used), now, capacity)
    assert found.days is None or found.days >= 0
    assert found.percent is not None
    assert 0 <= found.percent <= 100
