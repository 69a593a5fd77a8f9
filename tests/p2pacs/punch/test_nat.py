from p2pacs.ids import VirtualAddress
from p2pacs.punch.nat import Nat, Sights

BROKER, ONE, OTHER = (VirtualAddress(bytes([0xFD, *bytes(14), n])) for n in (1, 2, 3))
A, B = "203.0.113.9:4000", "203.0.113.9:4001"


def test_what_a_broker_sees_is_offered_and_what_two_others_see_alike() -> None:
    sights = Sights()
    assert not sights.heard(ONE, A, "198.51.100.1", trusted=False)
    assert sights.endpoints == ()
    assert sights.heard(OTHER, A, "198.51.100.2", trusted=False)
    assert list(map(str, sights.endpoints)) == [A]
    assert sights.nat([]) is Nat.STEADY
    sights.gone(OTHER)
    assert sights.endpoints == ()
    assert sights.heard(BROKER, B, "198.51.100.3", trusted=True)
    assert list(map(str, sights.endpoints)) == [B]


def test_one_liar_moves_nobody() -> None:
    sights = Sights()
    sights.heard(BROKER, A, "198.51.100.3", trusted=True)
    assert not sights.heard(ONE, "192.0.2.1:4000", "198.51.100.1", trusted=False)
    assert list(map(str, sights.endpoints)) == [A]


def test_kinds_of_routers() -> None:
    sights = Sights()
    assert sights.nat(["10.0.0.2"]) is Nat.UNKNOWN
    sights.heard(BROKER, A, "198.51.100.3", trusted=True)
    assert sights.nat(["10.0.0.2"]) is Nat.UNKNOWN
    assert sights.nat(["203.0.113.9"]) is Nat.NONE
    sights.heard(ONE, A, "198.51.100.3", trusted=False)
    assert sights.nat(["10.0.0.2"]) is Nat.UNKNOWN, "both on one machine: it may map by address"
    sights.heard(OTHER, B, "198.51.100.2", trusted=False)
    assert sights.nat(["10.0.0.2"]) is Nat.SYMMETRIC


def test_one_of_each_family_says_nothing() -> None:
    sights = Sights()
    sights.heard(BROKER, A, "198.51.100.3", trusted=True)
    sights.heard(ONE, "[2a00::1]:4000", "2a00::2", trusted=False)
    assert sights.nat([]) is Nat.UNKNOWN


def test_nonsense_is_not_kept() -> None:
    sights = Sights()
    assert not sights.heard(BROKER, "127.0.0.1:4000", "198.51.100.3", trusted=True)
    assert sights.nat([]) is Nat.UNKNOWN
