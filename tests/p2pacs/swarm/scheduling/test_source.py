from p2pacs.bitfield import Bitfield
from p2pacs.ids import VirtualAddress
from p2pacs.swarm.scheduling.source import Source, Tier


def test_hospitals_are_asked_before_replicas_and_these_before_the_broker() -> None:
    assert Tier.HOSPITAL < Tier.REPLICA < Tier.ORIGIN


def test_a_new_source_owes_nothing() -> None:
    source = Source(VirtualAddress(b"\xfd" + bytes(15)), Tier.REPLICA, Bitfield([3]))
    assert 3 in source.has
    assert not source.in_flight
    assert (source.asked_bytes, source.bytes_received, source.stalls) == (0, 0, 0)
