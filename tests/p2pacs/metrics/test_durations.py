from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from p2pacs.metrics.durations import Durations


def test_each_bucket_counts_what_took_at_most_that_long() -> None:
    durations = Durations((0.5, 2.0))
    for seconds in (0.1, 0.5, 0.6, 3.0):
        durations.add(seconds, "C-FIND")
    [one] = durations.read()
    assert one.labels == ("C-FIND",)
    assert one.buckets == ((0.5, 2), (2.0, 3), (float("inf"), 4))
    assert one.seconds == 0.1 + 0.5 + 0.6 + 3.0


def test_series_are_apart_and_sorted() -> None:
    durations = Durations()
    durations.add(1, "b", "x")
    durations.add(1, "a", "y")
    assert [one.labels for one in durations.read()] == [("a", "y"), ("b", "x")]


def test_threads_lose_no_count() -> None:
    durations = Durations()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: durations.add(0.0, "x"), range(2000)))
    [one] = durations.read()
    assert one.buckets[-1][1] == 2000


@given(st.lists(st.floats(0, 1000)), st.lists(st.floats(0, 1000), unique=True, max_size=8))
def test_buckets_never_fall_and_end_with_all(seconds: list[float], bounds: list[float]) -> None:
    durations = Durations(sorted(bounds))
    for one in seconds:
        durations.add(one)
    for histogram in durations.read():
        counts = [count for _, count in histogram.buckets]
        assert counts == sorted(counts)
        assert counts[-1] == len(seconds)
        for bound, count in histogram.buckets:
            assert count == sum(one <= bound for one in seconds)
