import ipaddress
import socket
import sys

import pytest

from p2pacs.own_interfaces import all_interfaces, interfaces, parse_if_inet6

TABLE = """\
20010db8000000000000000000000001 02 40 00 80     eth0
fe80000000000000021a2bfffe3c4d5e 02 40 20 80     eth0
nonsense
"""


def test_linux_table_of_ipv6() -> None:
    assert [str(one) for one in parse_if_inet6(TABLE)] == [
        "2001:db8::1/64",
        "fe80::21a:2bff:fe3c:4d5e/64",
    ]


def test_interfaces_are_this_machines() -> None:
    for one in interfaces():
        family = socket.AF_INET6 if one.version == 6 else socket.AF_INET
        with socket.socket(family) as sock:
            sock.bind((str(one.ip), 0))
        assert one.ip in one.network


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells all of them")
def test_linux_names_loopback_too() -> None:
    assert ipaddress.IPv4Address("127.0.0.1") in [one.ip for one in all_interfaces()]
