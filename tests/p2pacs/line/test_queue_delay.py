import pytest

from p2pacs.line.queue_delay import TUNING, QueueDelay, QueueDelayTuning


def test_what_a_round_trip_remembers_is_taken_out() -> None:
    delay = QueueDelay()
    delay.update(0.040, 0.040, 100, 0.0)
    assert delay.update(0.040, 0.040, 110, 1.0) == pytest.approx(0.0)
    smoothed = 0.040
    for _ in range(14):
        smoothed += (0.100 - smoothed) / 8
    late = delay.update(smoothed, 0.040, 124, 2.0)
    assert late is not None
    assert late > 0.05
    assert delay.update(smoothed, 0.040, 125, 3.0) is None, "too little to tell"


def test_a_longer_way_is_the_base_after_a_while() -> None:
    delay = QueueDelay()
    delay.update(0.040, 0.040, 10, 0.0)
    for tick in range(1, 70):
        last = delay.update(0.080, 0.040, 10 + 12 * tick, float(tick))
    assert last == pytest.approx(0.0)


def test_a_queue_that_was_there_before_the_connection_is_seen() -> None:
    delay = QueueDelay()
    assert delay.update(0.340, 0.042, 20, 0.0) == pytest.approx(0.340 - 0.042 - TUNING.ack_seconds)


def test_who_believes_fewer_acknowledgements_is_told_sooner() -> None:
    usual, quick = QueueDelay(), QueueDelay(QueueDelayTuning(fresh_acks=1, told_acks=2))
    assert usual.update(0.05, 0.04, 2, 0.0) is None
    assert quick.update(0.05, 0.04, 2, 0.0) is not None
