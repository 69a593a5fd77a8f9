import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.limits import CANDIDATES
from p2pacs.punch.addresses import (
    IPV6_DIALLED,
    Nearness,
    Surroundings,
    Target,
    literal,
    same_host,
    targets,
)
from p2pacs.units import Endpoint

HOME = Surroundings({"192.168.7.2"}, [ipaddress.ip_network("192.168.7.0/24")], {"198.51.100.1"})
HOME6 = Surroundings({"192.168.7.2", "2a00::2"}, HOME.networks, HOME.members)
MINE = "203.0.113.9:4000"
THEIRS = "203.0.113.20:5000"


def ways(
    offered: list[str], seen: str = THEIRS, around: Surroundings = HOME
) -> dict[str, Nearness]:
    return {str(one.endpoint): one.way for one in targets(offered, seen, MINE, around)}


def test_over_the_internet_only_where_the_neighbour_sees_it() -> None:
    assert ways([THEIRS, "203.0.113.21:5000"]) == {THEIRS: Nearness.OUTER}
    assert ways(["203.0.113.20:6000"]) == {"203.0.113.20:6000": Nearness.OUTER}, "what it mapped"


@pytest.mark.parametrize(
    "stranger",
    [
        "127.0.0.1:5000",
        "[::1]:5000",
        "0.0.0.0:5000",
        "224.0.0.1:5000",
        "[ff02::1]:5000",
        "255.255.255.255:5000",
        "169.254.1.1:5000",
        "[fe80::1]:5000",
        "240.0.0.1:5000",
        "203.0.113.20:22",
        "example.org:5000",
        "nonsense",
    ],
)
def test_what_is_never_dialled(stranger: str) -> None:
    seen = stranger if literal(stranger) else THEIRS
    assert ways([stranger], seen) == {}


def test_private_addresses_only_behind_the_same_router_and_inside_ones_own_networks() -> None:
    near, far, own = "192.168.7.3:4000", "10.0.0.3:4000", "192.168.7.2:4000"
    assert ways([near, far, own]) == {}
    assert ways([near, far, own], seen="203.0.113.9:4711") == {near: Nearness.LAN}


def test_behind_one_router_the_lan_comes_first_and_then_its_hairpin() -> None:
    seen = "203.0.113.9:4711"
    found = targets([seen, "192.168.7.3:4000"], seen, MINE, HOME)
    assert [one.way for one in found] == [Nearness.LAN, Nearness.OUTER]


def test_addresses_of_other_members_are_not_offered_by_this_one() -> None:
    assert ways(["198.51.100.1:5000"], seen="198.51.100.1:6000") == {}


def test_ipv6_only_by_who_has_it_and_a_few() -> None:
    offered = [f"[2a00::{n}]:5000" for n in range(10, 15)]
    assert ways(offered) == {}
    assert list(ways(offered, around=HOME6).values()) == [Nearness.IPV6] * IPV6_DIALLED
    assert ways(["[fd00::1]:5000"], around=HOME6) == {}


def test_mapped_addresses_are_the_same_host() -> None:
    assert same_host("[::ffff:203.0.113.9]:1025", MINE)
    assert not same_host("nonsense", "nonsense")


hosts = st.ip_addresses().map(lambda one: f"[{one}]" if one.version == 6 else str(one))
endpoints = st.tuples(hosts, st.integers(0, 65535)).map(lambda one: f"{one[0]}:{one[1]}")


@given(st.lists(endpoints | st.text(max_size=30), max_size=40), endpoints, endpoints)
def test_whatever_is_offered(offered: list[str], seen: str, mine: str) -> None:
    found = targets(offered, seen, mine, HOME6)
    assert len(found) <= CANDIDATES
    outer = literal(seen)
    for target in found:
        assert isinstance(target, Target)
        address = ipaddress.ip_address(target.endpoint.host)
        assert not address.is_loopback
        assert not address.is_multicast
        assert target.endpoint.host not in HOME6.own
        if target.way is Nearness.OUTER:
            assert outer is not None
            assert target.endpoint.host == outer.host
        if target.way is Nearness.LAN:
            assert same_host(seen, mine)
    assert Endpoint("127.0.0.1", 5000) not in [one.endpoint for one in found]
