import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pacs.line.pacing import NO_OVERHEAD, TLS_OVER_TCP, RateMeter, TokenBucket


def test_wire_bytes_counts_records_and_segments() -> None:
    assert TLS_OVER_TCP.wire_bytes(0) == 0
    assert TLS_OVER_TCP.wire_bytes(1) == 1 + 22 + 52
    assert TLS_OVER_TCP.wire_bytes(8192) == 8192 + 22 + 52 * 6
    assert TLS_OVER_TCP.wire_bytes(65536) == 65536 + 4 * 22 + 52 * 46


def test_acknowledgements_are_two_percent() -> None:
    assert TLS_OVER_TCP.ack_bytes(1_000_000) == pytest.approx(18_000, rel=0.01)


def test_a_bare_line_adds_nothing() -> None:
    assert NO_OVERHEAD.wire_bytes(100_000) == 100_000
    assert NO_OVERHEAD.ack_bytes(100_000) == 0


@settings(max_examples=50)
@given(st.lists(st.integers(1, 20_000), min_size=50, max_size=200), st.integers(1_000, 1_000_000))
def test_bucket_holds_the_rate(sizes: list[int], rate: int) -> None:
    bucket = TokenBucket(rate, burst=4096, now=0.0)
    now = 0.0
    for size in sizes:
        now += bucket.delay(now)
        bucket.charge(size, now)
    sent = sum(sizes)
    assert sent <= rate * now + 4096 + max(sizes) + 1
    if now:
        assert sent >= rate * now


def test_what_cannot_wait_is_paid_by_the_next() -> None:
    bucket = TokenBucket(100, burst=10, now=0.0)
    bucket.charge(60, 0.0)
    assert bucket.delay(0.0) == pytest.approx(0.5)
    assert bucket.delay(0.5) == 0


def test_time_that_stands_still_or_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(100, burst=10, now=5.0)
    bucket.charge(20, 5.0)
    assert bucket.delay(4.0) == pytest.approx(0.1)


def test_meter_measures_only_while_waiting() -> None:
    meter = RateMeter()
    meter.start(0.0)
    meter.add(100, 0.5)
    assert meter.value == 200
    meter.stop(0.5)
    meter.start(100.0)
    meter.add(100, 100.5)
    assert meter.value == pytest.approx(200)


def test_meter_falls_when_nothing_comes() -> None:
    meter = RateMeter()
    meter.start(0.0)
    meter.add(1000, 1.0)
    for tick in range(1, 41):
        meter.settle(1.0 + tick * 0.25)
    assert 0 < meter.value < 20


def test_meter_works_across_short_bursts() -> None:
    meter = RateMeter()
    for burst in range(10):
        meter.start(burst * 1.0)
        meter.add(1000, burst * 1.0 + 0.1)
        meter.stop(burst * 1.0 + 0.1)
    assert meter.value == pytest.approx(10_000, rel=0.01)
