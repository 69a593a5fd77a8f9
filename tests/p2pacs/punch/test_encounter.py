from attrs import evolve

from p2pacs.identity.directory import MemberRecord, Role
from p2pacs.ids import StudyId, VirtualAddress
from p2pacs.punch.addresses import Nearness, Target
from p2pacs.punch.encounter import NO_ADDRESS, Encounter
from p2pacs.punch.nat import Nat
from p2pacs.punch.offers import MeetingOffer
from p2pacs.units import Endpoint

ONE, OTHER = (VirtualAddress(bytes([0xFD, *bytes(14), n])) for n in (1, 2))
OUTER = Target(Nearness.OUTER, Endpoint("203.0.113.20", 5000))
NEAR = Target(Nearness.LAN, Endpoint("192.168.7.3", 4000))
RECORD = MemberRecord(OTHER, "other", Role.HOSPITAL, (), bytes(32), bytes(32))


def encounter(mine: Nat, theirs: Nat, *targets: Target) -> Encounter:
    one = MeetingOffer(ONE, OTHER, StudyId(bytes(16)), 1, mine, ())
    other = evolve(one, sender=OTHER, receiver=ONE, nat=theirs)
    return Encounter(RECORD, one, other, "203.0.113.20:5000", "203.0.113.9:4000", targets, b"")


def test_two_symmetric_routers_have_no_hope_but_inside_one_network() -> None:
    symmetric = Nat.SYMMETRIC
    assert not encounter(symmetric, symmetric, OUTER).has_hope
    assert encounter(symmetric, symmetric, OUTER, NEAR).has_hope
    assert encounter(symmetric, Nat.STEADY, OUTER).has_hope


def test_nothing_to_dial() -> None:
    nothing = encounter(Nat.STEADY, Nat.STEADY)
    assert not nothing.has_hope
    assert nothing.why_not == NO_ADDRESS


def test_near_is_what_was_dialled_inside_of_one_router() -> None:
    met = encounter(Nat.STEADY, Nat.STEADY, OUTER, NEAR)
    assert not met.is_near("192.168.7.3")
    met = evolve(met, seen="203.0.113.9:4711")
    assert met.is_near("192.168.7.3")
    assert not met.is_near("203.0.113.20")
