"""Which router is behind the queue, and what its answers tell."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.line.hop import TUNING
from p2pacs.line.hop_trips import FIRST_PORT, PORTS, HopTrips, Probe

Answer = dict[int, float | None]
"""TTL → seconds of a round trip; None, or not there: no answer."""


def ask(hops: HopTrips, now: float, answers: Answer, address: str = "192.0.2.%d") -> list[Probe]:
    probes = list(hops.probes(now))
    for probe in probes:
        trip = answers.get(probe.ttl)
        if trip is not None:
            assert hops.answered(probe.port, probe.echo or address % probe.ttl, now + trip)
    return probes


def asked_for(hops: HopTrips, begin: float, seconds: float, answers: Answer) -> float:
    """Ask so long; when that is over."""
    now = begin
    while now < begin + seconds:
        ask(hops, now, answers)
        now += TUNING.interval
    return now


def test_the_first_router_whose_trips_grow_is_the_one_behind_the_queue() -> None:
    hops = HopTrips()
    now = asked_for(hops, 0.0, 2.0, {1: 0.001, 2: 0.003, 3: 0.02, 4: 0.025})
    assert hops.found is None
    look = hops.look(now)
    assert look is not None
    assert look.delay == pytest.approx(0.0)
    now = asked_for(hops, now, 1.0, {1: 0.001, 2: 0.003, 3: 0.08, 4: 0.085})
    assert hops.found == 3
    assert {probe.ttl for probe in ask(hops, now, {3: 0.08})} == {3}
    look = hops.look(now + 0.1)
    assert look is not None
    assert look.delay == pytest.approx(0.06)


def test_before_it_is_known_the_longest_delay_counts() -> None:
    hops = HopTrips()
    now = asked_for(hops, 0.0, 1.0, {1: 0.001, 2: 0.02})
    now = asked_for(hops, now, 1.0, {1: 0.001, 2: 0.04})
    assert hops.found is None
    look = hops.look(now)
    assert look is not None
    assert look.delay == pytest.approx(0.02)


def test_routers_that_say_nothing_are_not_asked_for_ever() -> None:
    hops = HopTrips()
    now = asked_for(hops, 0.0, 5.0, {1: 0.001})
    assert {probe.ttl for probe in ask(hops, now, {1: 0.001})} == {1}


def test_what_is_behind_the_member_is_not_asked() -> None:
    hops = HopTrips()
    for probe in list(hops.probes(0.0)):
        if probe.ttl >= 3:
            hops.reached(probe.port)
    assert {probe.ttl for probe in hops.probes(0.3)} == {1, 2}


def test_one_late_answer_is_no_queue_and_a_queue_that_drained_is_seen_at_once() -> None:
    hops = HopTrips()
    now = asked_for(hops, 0.0, 2.0, {2: 0.02})
    ask(hops, now, {2: 0.5})
    look = hops.look(now + 0.5)
    assert look is not None
    assert look.delay == pytest.approx(0.0)
    now = asked_for(hops, now + 0.6, 2.0, {2: 0.3})
    ask(hops, now, {2: 0.02})
    look = hops.look(now + 0.1)
    assert look is not None
    assert look.delay == pytest.approx(0.02)


def test_answers_that_are_overdue_tell_of_a_queue_before_they_come() -> None:
    hops = HopTrips()
    now = asked_for(hops, 0.0, 3.0, {2: 0.02})
    for _ in range(3):
        ask(hops, now, {})
        now += 0.2
    look = hops.look(now)
    assert look is not None
    assert look.delay == pytest.approx(0.4 - 0.02)  # one may be lost, and tells nothing


def test_a_router_that_is_sparing_is_asked_as_often_as_it_answers() -> None:
    hops = HopTrips()
    now, left, asked = 0.0, 6.0, []
    while now < 30:
        left = min(6.0, left + 0.2)
        for probe in hops.probes(now):
            if probe.ttl == 2:
                asked.append(now)
                if left >= 1:
                    left -= 1
                    hops.answered(probe.port, "192.0.2.2", now + 0.02 + (0.05 if now > 1 else 0))
        now += 0.2
    assert hops.found == 2
    look = hops.look(now)
    assert look is not None
    assert look.sparing
    assert look.delay == pytest.approx(0.05)
    assert sum(at > 15 for at in asked) <= 15


def test_a_sparing_router_is_asked_by_echoes_where_that_is_allowed() -> None:
    hops = HopTrips(may_echo=True)
    now = asked_for(hops, 0.0, 1.0, {2: 0.02})
    now = asked_for(hops, now, 1.0, {2: 0.07})
    assert hops.found == 2
    echoes = []
    for step in range(40):  # one in three probes is answered, and all echoes
        now += 0.2
        for probe in hops.probes(now):
            if probe.echo is not None or step % 3 == 0:
                assert hops.answered(probe.port, "192.0.2.2", now + 0.05)
                echoes.append(probe.echo)
    assert echoes[-5:] == ["192.0.2.2"] * 5
    look = hops.look(now + 0.1)
    assert look is not None
    assert not look.sparing
    assert look.delay == pytest.approx(0.03), "the least of probes is the least of echoes"


def test_a_router_is_not_thought_to_be_sparing_for_ever() -> None:
    hops = HopTrips()
    now = asked_for(hops, 0.0, 2.0, {2: 0.02})
    now = asked_for(hops, now, 1.4, {})
    now = asked_for(hops, now, 3.0, {2: 0.02})
    look = hops.look(now)
    assert look is not None
    assert look.sparing
    now = asked_for(hops, now, TUNING.sparing_seconds, {2: 0.02})
    look = hops.look(now)
    assert look is not None
    assert not look.sparing


def test_echoes_that_are_not_answered_are_given_up() -> None:
    hops = HopTrips(may_echo=True)
    now = asked_for(hops, 0.0, 1.0, {2: 0.02})
    now = asked_for(hops, now, 1.0, {2: 0.07})
    echoes = 0
    left = 0.0
    for _ in range(100):
        now += 0.2
        left = min(6.0, left + 0.2)
        for probe in hops.probes(now):
            echoes += probe.echo is not None
            if probe.echo is None and left >= 1:
                left -= 1
                hops.answered(probe.port, "192.0.2.2", now + 0.02)
    assert 0 < echoes < 12
    assert hops.found == 2


def test_a_router_that_went_silent_is_looked_for_anew() -> None:
    hops = HopTrips()
    now = asked_for(hops, 0.0, 1.0, {2: 0.02})
    now = asked_for(hops, now, 1.0, {2: 0.07})
    assert hops.found == 2
    now = asked_for(hops, now, 4.0, {})
    assert hops.found is None
    assert hops.look(now) is None
    now = asked_for(hops, now, 1.0, {3: 0.02})
    assert hops.look(now) is None, "nobody answered, so nobody is asked for a while"
    now = asked_for(hops, now + TUNING.doubt_seconds, 1.0, {3: 0.02})
    assert hops.look(now) is not None


def test_a_long_queue_is_none_of_a_router_that_is_looked_for_anew() -> None:
    """A busy machine reads answers late, and 8 seemed lost: the queue of then was the least."""
    hops = HopTrips()
    now = asked_for(hops, 0.0, 1.0, {2: 0.02})
    now = asked_for(hops, now, 1.0, {2: 0.07})
    while hops.found is not None:
        now = asked_for(hops, now, TUNING.interval, {})
    now = asked_for(hops, now, 2.0, {1: 0.001, 2: 0.22})
    assert hops.found == 2
    look = hops.look(now)
    assert look is not None
    assert look.delay == pytest.approx(0.2)
    hops.search()  # another line
    now = asked_for(hops, now, 2.0, {2: 0.22})
    look = hops.look(now)
    assert look is not None
    assert look.delay == pytest.approx(0.0)


def test_a_router_that_denies_the_queue_is_in_front_of_it() -> None:
    hops = HopTrips()
    now = asked_for(hops, 0.0, 1.0, {1: 0.001, 2: 0.02})
    now = asked_for(hops, now, 1.0, {1: 0.04, 2: 0.07})  # it answered late for once
    assert hops.found == 1
    now = asked_for(hops, now, 1.0, {1: 0.001, 2: 0.2})
    hops.doubt(now)
    now = asked_for(hops, now, 1.0, {1: 0.001, 2: 0.2})
    assert hops.found == 2
    look = hops.look(now)
    assert look is not None
    assert look.delay == pytest.approx(0.18)


def test_nothing_is_told_while_it_is_doubted() -> None:
    hops = HopTrips()
    now = asked_for(hops, 0.0, 2.0, {2: 0.02})
    hops.doubt(now)
    now = asked_for(hops, now, 2.0, {2: 0.02})
    assert hops.look(now) is None
    now = asked_for(hops, now + TUNING.doubt_seconds, 2.0, {2: 0.02})
    assert hops.look(now) is not None


def test_ports_begin_where_nobody_expects_and_stay_traceroutes() -> None:
    hops = HopTrips(first_port=PORTS - 2)
    ports = [probe.port for probe in hops.probes(0.0)]
    assert ports[:3] == [FIRST_PORT + PORTS - 2, FIRST_PORT + PORTS - 1, FIRST_PORT]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "answer", "reached", "look", "doubt"]),
        st.integers(0, 70_000),
        st.floats(0, 100),
    ),
    max_size=100,
)


@given(STEPS, st.booleans())
def test_whoever_answers_what_was_not_asked_changes_nothing_for_the_worse(
    steps: list[tuple[str, int, float]], echo: bool
) -> None:
    hops = HopTrips(may_echo=echo)
    now = 0.0
    for step, port, passed in steps:
        now += passed if step == "ask" else 0.0
        if step == "ask":
            probes = list(hops.probes(now))
            assert len(probes) <= TUNING.ttls
            assert all(FIRST_PORT <= probe.port < FIRST_PORT + PORTS for probe in probes)
        elif step == "answer":  # also of ports that nobody asked, early and late
            hops.answered(
                FIRST_PORT + port % PORTS if port % 2 else port, "192.0.2.9", now + passed
            )
        elif step == "reached":
            hops.reached(FIRST_PORT + port % PORTS)
        elif step == "doubt":
            hops.doubt(now)
        look = hops.look(now)
        if look is not None:
            assert 0 <= look.delay < math.inf
        assert len(hops._under_way) <= PORTS
    assert not hops.answered(1, "192.0.2.9", now)
