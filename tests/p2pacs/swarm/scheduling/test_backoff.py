from hypothesis import given
from hypothesis import strategies as st

from p2pacs.swarm.scheduling.backoff import Backoff


def pause(backoff: Backoff[str], key: str, now: float) -> float:
    """Seconds until it may be tried, in eighths."""
    return next(n / 8 for n in range(1000) if backoff.ready(key, now + n / 8))


def test_each_failure_doubles_the_pause_up_to_the_limit() -> None:
    backoff = Backoff[str](0.5, 3.0)
    now, pauses = 0.0, []
    assert pause(backoff, "a", now) == 0
    for _ in range(5):
        backoff.failed("a", now)
        pauses.append(pause(backoff, "a", now))
        now += pauses[-1]
    assert pauses == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_others_need_not_wait() -> None:
    backoff = Backoff[str](1.0, 8.0)
    backoff.failed("a", 0.0)
    assert not backoff.ready("a", 0.9)
    assert backoff.ready("b", 0.0)


def test_what_is_forgotten_begins_anew() -> None:
    backoff = Backoff[str](1.0, 8.0)
    for key in ("a", "a", "b"):
        backoff.failed(key, 0.0)
    backoff.forget(lambda key: key == "a")
    assert backoff.ready("a", 0.0)
    assert not backoff.ready("b", 0.0)
    backoff.failed("a", 0.0)
    assert backoff.ready("a", 1.0)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 20)), max_size=30))
def test_nothing_waits_longer_than_the_limit(tries: list[tuple[int, float]]) -> None:
    backoff = Backoff[int](0.5, 8.0)
    now = 0.0
    for key, wait in tries:
        now += wait
        if backoff.ready(key, now):
            backoff.failed(key, now)
            assert not backoff.ready(key, now)
    assert all(backoff.ready(key, now + 8.0) for key, _ in tries)
