import socket
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.dimse.association.tuning import DimseTuning
from p2pacs.dimse.server.association_limits import Admitted, AssociationLimits, NamedHosts

BOUNDS = DimseTuning(
    connections=8,
    kept_connections=3,
    connections_per_address=4,
    leaving_connections=2,
    associations=5,
    kept_associations=2,
)
KNOWN = "10.0.0.1"


def limits() -> AssociationLimits:
    return AssociationLimits(lambda address: address == KNOWN, BOUNDS)


def fill(one: AssociationLimits, *addresses: str) -> list[Admitted]:
    entered = [one.enter(address) for address in addresses]
    assert None not in entered
    return [inside for inside in entered if inside is not None]


def test_one_address_may_have_so_many() -> None:
    one = limits()
    inside = fill(one, *["10.0.0.9"] * 4)
    assert one.enter("10.0.0.9") is None
    assert one.enter("10.0.0.8") is not None
    one.leave(inside[0])
    one.leave(inside[0])  # twice is once
    assert len(one) == 4


def test_one_host_has_all_the_addresses_behind_its_network() -> None:
    one = limits()
    fill(one, *(f"2001:db8::{number}" for number in range(4)))
    assert one.enter("2001:db8::beef") is None
    assert one.enter("2001:db8:0:1::1") is not None


def test_strangers_leave_room_for_known_hosts() -> None:
    one = limits()
    for stranger in fill(one, *(f"10.0.1.{number}" for number in range(5))):
        stranger.associated = True  # or they would give way
    assert one.enter("10.0.2.1") is None
    fill(one, KNOWN, f"::ffff:{KNOWN}", KNOWN)
    assert one.enter(KNOWN) is None  # it is full


def ended_of(inside: list[Admitted]) -> list[int]:
    """Places of those that are ended, as that happens."""
    ended: list[int] = []
    for place, admitted in enumerate(inside):
        admitted.end = partial(ended.append, place)
    return ended


def test_silent_strangers_give_way_the_oldest_of_the_most_crowded_address_first() -> None:
    now = iter(range(100))
    one = AssociationLimits(lambda address: address == KNOWN, BOUNDS, lambda: next(now))
    inside = fill(one, "10.0.1.1", "10.0.2.1", "10.0.2.1", "10.0.3.1", "10.0.2.1")
    ended = ended_of(inside)
    inside[1].associated = True
    assert one.enter("10.0.9.1") is not None
    assert one.enter("10.0.9.2") is not None
    assert ended == [2, 4]
    assert one.enter("10.0.9.3") is not None
    assert ended == [2, 4, 0]  # each has one now: the oldest
    assert len(one) == BOUNDS.connections
    fill(one, KNOWN, KNOWN)
    assert one.enter(KNOWN) is None, "those that were ended have threads still"
    one.leave(inside[2])
    assert one.enter(KNOWN) is not None


def test_unused_associations_of_strangers_give_way() -> None:
    one = limits()
    inside = fill(one, "10.0.1.1", "10.0.2.1", "10.0.3.1")
    ended = ended_of(inside)
    assert all(one.associate(stranger) for stranger in inside)
    (fourth,) = fill(one, "10.0.4.1")
    assert not one.associate(fourth)
    inside[0].unused, inside[1].unused = (lambda: 11.0), (lambda: 12.0)
    assert one.associate(fourth)
    assert ended == [1]
    assert not one.associate(inside[1]), "it is leaving"


def test_a_known_host_may_have_all_the_room() -> None:
    fill(limits(), *[KNOWN] * 8)


def test_associations_leave_room_too() -> None:
    one = limits()
    strangers = fill(one, *(f"10.0.1.{number}" for number in range(4)))
    assert [one.associate(stranger) for stranger in strangers] == [True, True, True, False]
    (known,) = fill(one, KNOWN)
    assert one.associate(known)
    one.leave(strangers[0])
    assert one.associate(strangers[3])


def gone(one: AssociationLimits, inside: list[Admitted], entered: Admitted) -> None:
    inside.remove(entered)
    one.leave(entered)


steps = st.lists(
    st.tuples(st.sampled_from(["enter", "associate", "leave"]), st.integers(1, 7), st.integers(0))
)


@given(steps)
def test_bounds_hold_and_a_known_host_finds_room(taken: list[tuple[str, int, int]]) -> None:
    """Whatever strangers (and one known host that holds less than what is kept) do."""
    one, inside = limits(), list[Admitted]()
    for step, host, place in taken:
        if step == "enter" and (entered := one.enter(f"10.0.0.{host + 1}")) is not None:
            inside.append(entered)
            entered.end = partial(gone, one, inside, entered)
        elif step == "associate" and inside:
            one.associate(inside[place % len(inside)])
        elif step == "leave" and inside:
            one.leave(inside.pop(place % len(inside)))
        assert len(one) == len(inside) <= BOUNDS.connections - BOUNDS.kept_connections
        addresses = [entry.source for entry in inside]
        assert all(addresses.count(a) <= BOUNDS.connections_per_address for a in addresses)
    workstation = one.enter(KNOWN)
    assert workstation is not None
    assert one.associate(workstation)


def test_hosts_are_known_by_address_at_once_and_by_name_when_looked_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def look_up(host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        if host == "gone.example":
            raise OSError("no such host")
        address = "10.0.0.7" if host == "viewer.example" else host
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    hosts = ["10.0.0.1", "viewer.example", "gone.example"]
    known = NamedHosts(lambda: hosts)
    assert known("10.0.0.1")
    assert not known("10.0.0.7")
    known.refresh()
    assert known("10.0.0.7")
    hosts.remove("viewer.example")
    known.refresh()
    assert not known("10.0.0.7")
