"""The default gateway, out of what Linux tells of routes."""

import sys
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.mapping.gateway import (
    default_gateway,
    default_gateway_ipv6,
    parse_ipv4,
    parse_ipv6,
)

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
LAN = "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
FAR = "wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
NEAR = "eth0\t00000000\tFE01A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
DEAD = "eth1\t00000000\t0201A8C0\t0002\t0\t0\t1\t00000000\t0\t0\t0\n"

ZERO = "0" * 32
LOCAL = "fe8000000000000000000000000000fe"
IPV6 = f"{ZERO} 00 {ZERO} 00 {LOCAL} 00000400 00000001 00000000 00000003     eth0\n"
OWN = f"{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 00000001 00000000 00200200       lo\n"


@pytest.mark.skipif(sys.byteorder == "big", reason="the kernel writes the machine's order")
def test_the_least_metric_of_those_that_are_up() -> None:
    assert parse_ipv4(HEAD + LAN + FAR + NEAR + DEAD) == IPv4Address("192.168.1.254")
    assert parse_ipv4(HEAD + FAR) == IPv4Address("192.168.1.1")
    assert parse_ipv4(HEAD + LAN + DEAD) is None


def test_ipv6_has_the_interface_where_the_address_alone_says_nothing() -> None:
    assert parse_ipv6(OWN + IPV6) == IPv6Address("fe80::fe%eth0")
    assert parse_ipv6(IPV6.replace(LOCAL, "2a" + "0" * 29 + "1")) == IPv6Address("2a00::1")
    assert parse_ipv6(OWN) is None


def test_where_nobody_tells_it_is_not_known(tmp_path: Path) -> None:
    assert default_gateway(tmp_path / "none") is None
    assert default_gateway_ipv6(tmp_path / "none") is None
    (tmp_path / "route").write_text(HEAD + LAN, encoding="ascii")
    assert default_gateway(tmp_path / "route") is None


@given(st.text(alphabet="0123456789abcdef \n\tFx-", max_size=400))
def test_whatever_stands_there_is_read_without_error(text: str) -> None:
    parse_ipv4(text)
    parse_ipv6(text)
