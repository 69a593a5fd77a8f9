import pytest

from p2pacs.line.hop import TUNING, Hop, LeastTrip


def test_a_longer_way_is_the_least_trip_after_a_while() -> None:
    least = LeastTrip(60.0)
    least.add(0.02, 0.0, 0.006)
    for second in range(1, 200):
        least.add(0.05, float(second), 0.006)
    assert least.value == 0.05
    assert least.seen_at == 199.0
    least.add(0.2, 200.0, 0.006)
    assert (least.value, least.seen_at) == (0.05, 199.0)


def answered(*trips: float) -> Hop:
    """A router that answered every fifth of a second, the last at 10 s."""
    hop = Hop.new(TUNING)
    for number, trip in enumerate(trips):
        sent = 10.0 - 0.2 * (len(trips) - 1 - number)
        hop.answer(trip, sent, "192.0.2.1", sent + trip)
    return hop


def test_the_median_counts_and_nothing_old() -> None:
    assert answered(0.02, 0.02, 0.3).excess(10.3) == pytest.approx(0.0)
    assert answered(0.02, 0.1, 0.3).excess(10.3) == pytest.approx(0.08)
    assert answered(0.02).excess(10.0) is None, "one is not enough"
    assert answered(0.02, 0.02).excess(10.0 + TUNING.fresh_seconds + 0.1) is None


def test_a_queue_that_drained_is_seen_by_one_trip() -> None:
    assert answered(0.02, 0.3, 0.3, 0.02).excess(10.1) == pytest.approx(0.02)


def test_of_a_router_that_is_sparing_the_newest_counts() -> None:
    hop = answered(0.02, 0.05, 0.08)
    hop.sparing = True
    assert hop.excess(10.0 + TUNING.sparing_fresh_seconds - 0.1) == pytest.approx(0.06)


def test_an_answer_that_was_overtaken_does_not_count_as_the_newest() -> None:
    hop = answered(0.02, 0.02)
    hop.answer(0.9, 9.3, "192.0.2.1", 10.2)
    assert list(hop.trips) == [0.02, 0.02]


def test_who_never_answers_is_silent_and_who_answers_little_is_sparing() -> None:
    silent, sparing = Hop.new(TUNING), answered(0.02)
    for second in range(TUNING.judged):
        silent.miss(float(second))
        sparing.miss(float(second))
    assert silent.silent
    assert not sparing.silent
    assert sparing.sparing
