from broker.members.holding import Holding


def test_only_what_is_whole_and_known_is_counted_in_bytes() -> None:
    held = Holding()
    for whole, size in ((True, 100), (True, None), (False, 50)):
        held = held.plus(whole=whole, size=size)
    assert held == Holding(studies=3, whole=2, bytes=100, unsized=2)
