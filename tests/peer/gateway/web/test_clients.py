import ipaddress

import pytest

from peer.gateway.web.clients import WebClients

CLIENTS = WebClients(
    ["192.168.1.20", "2001:db8::5", "localhost"], [ipaddress.ip_network("10.1.0.0/16")]
)


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("::ffff:127.0.0.1", True),
        ("192.168.1.20", True), ("::ffff:192.168.1.20", True), ("192.168.1.21", False),
        ("2001:db8::5", True), ("2001:db8::6", False), ("10.1.2.3", True), ("10.2.0.1", False),
        ("", False), ("nonsense", False), ("unix", False),
    ],
)  # fmt: skip
def test_by_address(address: str, may: bool) -> None:
    assert CLIENTS(address) is may


async def test_hosts_by_name_are_looked_up() -> None:
    clients = WebClients(["localhost", "no-such-host.invalid"], [])
    await clients.look_up()
    assert clients("127.0.0.1")
    assert clients._named
    assert not clients("192.0.2.1")
