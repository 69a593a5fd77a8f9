"""How near to the limit of their lines swarms of several sizes come."""

import pytest

from p2pacs.line.pacing import TLS_OVER_TCP
from tests.simulation.scenario import Plan, Swarm, simulate


@pytest.mark.parametrize(
    ("members", "megabytes", "most"),
    [(1, 8, 1.045), (4, 8, 1.05), (8, 8, 1.05), (16, 5, 1.08)],
)
def test_a_swarm_is_near_the_limit_of_its_lines(
    members: int, megabytes: float, most: float
) -> None:
    swarm = simulate(Plan(members=members, megabytes=megabytes), Swarm.fetch_all).swarm
    assert swarm.ratio < most
    assert swarm.wire_over_payload < 1.02


def test_a_study_that_is_twice_as_large_is_nearer_to_the_limit() -> None:
    small, large = (
        simulate(Plan(members=4, megabytes=megabytes), Swarm.fetch_all).swarm
        for megabytes in (2, 4)
    )
    assert large.ratio < small.ratio


def test_headers_and_acknowledgements_cost_what_they_weigh() -> None:
    plan = Plan(members=4, megabytes=6, overhead=TLS_OVER_TCP)
    swarm = simulate(plan, Swarm.fetch_all).swarm
    assert swarm.ratio < 1.12
    assert 1.04 < swarm.wire_over_payload < 1.08


def test_the_same_seed_gives_the_same_run_and_another_one_another() -> None:
    plans = [Plan(members=5, megabytes=1, loss=0.01, seed=seed) for seed in (7, 7, 8)]
    one, same, other = (simulate(plan, Swarm.fetch_all).swarm for plan in plans)
    assert one.done == same.done
    assert one.messages() == same.messages()
    assert one.done != other.done


def test_whoever_knows_few_of_many_is_hardly_later() -> None:
    plan = Plan(members=24, megabytes=2, neighbours=12)
    swarm = simulate(plan, Swarm.fetch_all).swarm
    assert swarm.ratio < 1.2


def test_without_the_broker_the_members_manage() -> None:
    async def story(swarm: Swarm) -> None:
        swarm.broker.kill()
        await swarm.fetch_all()

    swarm = simulate(Plan(members=6, megabytes=4), story).swarm
    assert swarm.ratio < 1.08
