from hypothesis import given
from hypothesis import strategies as st

from broker.members.traffic import LENGTH, PACS, Flow, Step
from broker.pages.traffic.traffic_table import (
    PERIODS,
    Bucket,
    MemberTraffic,
    Period,
    buckets,
    by_member,
    mark,
    when,
)
from p2pacs.wire.messages.received import HOUR

A, B = b"a" * 16, b"b" * 16
AT = 1_750_000_000_000
NOW = AT - AT % HOUR


def test_every_hour_is_there_and_what_came_stands_in_its_own() -> None:
    flows = [Flow(NOW, A, B, 1), Flow(NOW, A, PACS, 2), Flow(NOW - 23 * HOUR, B, A, 4)]
    found = buckets(flows, PERIODS["day"], AT)
    assert len(found) == 24
    assert found[-1] == Bucket(NOW, (1, 2))
    assert found[0] == Bucket(NOW - 23 * HOUR, (4, 0))
    of_a = buckets(flows, PERIODS["day"], AT, A)
    assert (of_a[-1].values, of_a[0].values) == ((3, 0), (0, 4))
    assert by_member(flows) == [
        MemberTraffic(A, 3, 4),
        MemberTraffic(B, 4, 1),
        MemberTraffic(PACS, 0, 2),
    ]
    assert when(NOW, Step.HOUR) == "2025-06-15 15:00"
    assert when(NOW, Step.DAY) == "2025-06-15"
    assert mark(NOW, PERIODS["day"]) == "15:00"
    assert mark(NOW, PERIODS["week"]) == "06-15"


@given(
    st.sampled_from(list(PERIODS.values())),
    st.lists(st.tuples(st.integers(-10, 400), st.sampled_from([A, B]), st.sampled_from([B, PACS]))),
)
def test_nothing_is_lost_of_what_is_in_the_period(
    period: Period, given_: list[tuple[int, bytes, bytes]]
) -> None:
    length, since = LENGTH[period.step], period.since(AT)
    flows = [Flow(since + n * length, receiver, giver, 1) for n, receiver, giver in given_]
    within = sum(0 <= n < period.count for n, _, _ in given_)
    assert sum(sum(one.values) for one in buckets(flows, period, AT)) == within
