from attrs import evolve

from p2pacs.ids import VirtualAddress
from p2pacs.swarm.scheduling.lan_mates import RELIED_SECONDS, LanMate, leaves_to_mates

ONE, TWO, THREE = (VirtualAddress(b"\xfd" + bytes([n] * 15)) for n in (1, 2, 3))
NOW = 100.0


def mate(member: VirtualAddress) -> LanMate:
    return LanMate(member, fetching=True, priority=2, moved_at=NOW - 1)


def test_the_lowest_address_takes_it() -> None:
    assert leaves_to_mates(TWO, 2, [mate(ONE), mate(THREE)], (), NOW)
    assert not leaves_to_mates(ONE, 2, [mate(TWO), mate(THREE)], (), NOW)
    assert not leaves_to_mates(ONE, 2, [], (), NOW)


def test_a_broker_goes_before_all() -> None:
    assert leaves_to_mates(ONE, 2, [mate(THREE)], {THREE}, NOW)
    assert not leaves_to_mates(THREE, 2, [mate(ONE)], {THREE}, NOW)


def test_who_does_not_get_it_or_less_urgently_is_not_relied_on() -> None:
    for other in (
        evolve(mate(ONE), fetching=False),
        evolve(mate(ONE), priority=1),
        evolve(mate(ONE), moved_at=NOW - RELIED_SECONDS),
    ):
        assert not leaves_to_mates(TWO, 2, [other], (), NOW)
    assert leaves_to_mates(TWO, 2, [evolve(mate(ONE), priority=3)], (), NOW)
