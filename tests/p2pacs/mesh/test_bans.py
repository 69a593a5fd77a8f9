from p2pacs.ids import VirtualAddress
from p2pacs.limits import STRIKES
from p2pacs.mesh.bans import TUNING as BANS
from p2pacs.mesh.bans import Bans

A, B = (VirtualAddress(b"\xfd" + bytes(14) + bytes([n])) for n in (1, 2))


def test_the_last_strike_means_quarantine_for_a_time() -> None:
    bans = Bans()
    assert [bans.strike(A, 1.0) for _ in range(STRIKES)] == [False] * (STRIKES - 1) + [True]
    assert bans.quarantined(A, 2.0)
    assert not bans.quarantined(B, 2.0)
    assert not bans.quarantined(A, 1.0 + BANS.quarantine_seconds)
    assert not bans.strike(A, 1.0 + BANS.quarantine_seconds)


def test_old_strikes_are_forgiven() -> None:
    bans = Bans()
    for round_ in range(2 * STRIKES):
        assert not bans.strike(A, round_ * BANS.forgiven_seconds)
