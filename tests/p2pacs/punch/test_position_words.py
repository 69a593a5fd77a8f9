import pytest

from p2pacs.punch.nat import Nat
from p2pacs.punch.position_words import DIALLED, HELP, HOW, NO_PORT, how_reached, what_helps
from p2pacs.punch.whereabouts import Position


@pytest.mark.parametrize("nat", list(Nat))
def test_each_router_has_its_words_and_a_symmetric_one_a_remedy(nat: Nat) -> None:
    here = Position(nat, (), None, holds_port=True)
    assert how_reached(here, has_endpoints=False) == HOW[nat]
    helps = what_helps(here, has_endpoints=False, misses=False)
    assert helps == (HELP if nat is Nat.SYMMETRIC else None)
    assert how_reached(here, has_endpoints=True) == DIALLED
    assert what_helps(here, has_endpoints=True, misses=True) is None


@pytest.mark.parametrize("nat", list(Nat))
def test_who_misses_somebody_is_helped_by_an_open_port_unless_it_has_one(nat: Nat) -> None:
    here = Position(nat, (), None, holds_port=True)
    helps = what_helps(here, has_endpoints=False, misses=True)
    assert helps == (None if nat is Nat.MAPPED else HELP)


def test_a_machine_that_holds_no_port() -> None:
    none = Position(Nat.UNKNOWN, (), None, holds_port=False)
    assert how_reached(none, has_endpoints=False) == NO_PORT
    assert what_helps(none, has_endpoints=False, misses=False) == HELP
