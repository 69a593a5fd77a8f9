"""Bounds of DIMSE that only make sense together."""

from p2pacs.dimse.association.tuning import TUNING


def test_room_is_left_for_strangers_beside_known_hosts() -> None:
    assert 0 < TUNING.kept_associations < TUNING.associations
    assert 0 < TUNING.kept_connections < TUNING.connections
    assert TUNING.connections_per_address < TUNING.connections - TUNING.kept_connections


def test_every_association_has_a_connection() -> None:
    assert TUNING.associations <= TUNING.connections


def test_a_stranger_gives_way_long_before_an_idle_association_ends() -> None:
    assert TUNING.unused < TUNING.idle


def test_a_whole_pdu_of_a_slow_sender_comes_in_time() -> None:
    """From the first byte to the last: thirty seconds, and what its size takes."""
    assert TUNING.pdu + TUNING.pdu_bytes / TUNING.slowest < TUNING.idle


def test_who_waits_hears_something_while_a_destination_is_asked_again() -> None:
    assert sum(TUNING.busy) < TUNING.keep_alive
