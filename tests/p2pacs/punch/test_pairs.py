from p2pacs.ids import VirtualAddress
from p2pacs.punch.nat import Nat
from p2pacs.punch.pairs import MINUTE, TUNING, AskPace, Pairs, hopeless, why_not

ONE, OTHER = (VirtualAddress(bytes([0xFD, *bytes(14), n])) for n in (1, 2))
WHY = why_not(Nat.STEADY, Nat.STEADY)


def test_a_pair_that_failed_waits_longer_and_longer() -> None:
    pairs, now, pauses = Pairs(), 0.0, []
    for _ in range(12):
        pairs.failed(ONE, WHY, now)
        start = now
        while pairs.waits(ONE, now):
            now += 1.0
        pauses.append(now - start)
    assert pauses[0] == TUNING.first_seconds
    assert pauses == sorted(pauses)
    assert pauses[-1] == TUNING.most_seconds
    assert pairs.why(ONE) == WHY
    assert not pairs.waits(OTHER, 0.0)
    assert pairs.why(OTHER) is None


def test_a_link_or_a_new_address_ends_it() -> None:
    pairs = Pairs()
    for moved in (False, True):
        pairs.failed(ONE, WHY, 0.0)
        assert pairs.waits(ONE, 1.0)
        if moved:
            pairs.moved()
        else:
            pairs.linked(ONE)
        assert not pairs.waits(ONE, 1.0)
        assert pairs.why(ONE) is None


def test_reasons_name_the_side() -> None:
    said = {str(why_not(one, other)) for one in Nat for other in Nat}
    assert len(said) == 4
    assert hopeless(Nat.SYMMETRIC, Nat.SYMMETRIC)
    assert not hopeless(Nat.SYMMETRIC, Nat.STEADY)
    assert not hopeless(Nat.SYMMETRIC, Nat.MAPPED)


def test_so_often_within_a_minute() -> None:
    pace = AskPace(2)
    assert [pace.is_exceeded(ONE, now) for now in (0.0, 1.0, 2.0)] == [False, False, True]
    assert not pace.is_exceeded(OTHER, 2.0)
    assert not pace.is_exceeded(ONE, MINUTE + 0.5)
    assert pace.is_exceeded(ONE, MINUTE + 0.6)
