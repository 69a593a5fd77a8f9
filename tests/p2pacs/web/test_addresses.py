import errno
import ipaddress
import socket

import pytest

from p2pacs.own_interfaces import parse_if_inet6
from p2pacs.web.addresses import machine_addresses, reachable


def test_this_machine_has_addresses_that_can_be_typed() -> None:
    addresses = machine_addresses()
    assert {"127.0.0.1", "::1"} <= set(addresses)
    assert len(set(addresses)) == len(addresses)
    for address in addresses:
        assert not ipaddress.ip_address(address).is_link_local


def test_the_table_of_ipv6_addresses() -> None:
    text = (
        "00000000000000000000000000000001 01 80 10 80       lo\n"
        "fe80000000000000505400fffe000001 02 40 20 80     eth0\n"
        "20010db8000000000000000000000007 02 40 00 80     eth0\n"
        "not an address\n"
    )
    table = [one.ip for one in parse_if_inet6(text)]
    assert [str(one) for one in table] == ["::1", "fe80::5054:ff:fe00:1", "2001:db8::7"]
    assert [str(one) for one in reachable(table)] == ["::1", "2001:db8::7"]


def test_a_service_that_may_not_ask_for_interfaces_has_addresses_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused() -> list[tuple[int, str]]:
        raise OSError(errno.EAFNOSUPPORT, "no netlink")

    monkeypatch.setattr(socket, "if_nameindex", refused)
    assert "127.0.0.1" in machine_addresses()
