"""What `test_asking.py` runs in a world of its own: miniupnpd between a member and a stranger."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from p2pacs.mapping.answers import Granted
from p2pacs.mapping.asking import NAT_PMP, PCP, Router
from p2pacs.mapping.mapped_port import NoMapping, mapped_port
from p2pacs.mapping.pcp import PORT as ROUTER_PORT
from p2pacs.units import Endpoint
from scripts.lab.homes import nft_program
from scripts.lab.space import Space
from tests.components import miniupnpd_program

PORT = 4000
OUTER = "11.2.3.4"
GATEWAY = IPv4Address("192.168.1.1")
SECONDS = 30

RULES = """
table inet filter {
  chain forward { type filter hook forward priority 0; policy drop;
    ct state established,related accept
    iifname "inner" accept
    jump miniupnpd
  }
  chain miniupnpd { }
  chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
  chain postrouting { type nat hook postrouting priority 100;
    jump postrouting_miniupnpd
    oifname "line" masquerade
  }
  chain prerouting_miniupnpd { }
  chain postrouting_miniupnpd { }
}
"""

SETTINGS = """
ext_ifname=line
listening_ip=inner
port=0
enable_natpmp=yes
enable_upnp=no
secure_mode=yes
uuid=00000000-0000-0000-0000-000000000000
upnp_table_name=filter
upnp_nat_table_name=filter
allow 1024-65535 192.168.1.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"""


class World:
    """A member, its router, and a stranger outside."""

    def __init__(self) -> None:
        self.member, self.router, self.stranger = Space.new(), Space.new(), Space.new()
        ends = [(self.member, "inner", "192.168.1"), (self.stranger, "line", "11.2.3")]
        for space, device, network in ends:
            last = 1 if device == "inner" else 4
            self.router.ip(
                f"link add {device} type veth peer name eth0 netns {space.path}",
                f"addr add {network}.{last}/24 dev {device}", f"link set {device} up",
            )  # fmt: skip
            space.ip(f"addr add {network}.2/24 dev eth0", "link set eth0 up")
        self.member.ip(f"route add default via {GATEWAY}")
        with self.router.inside():
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
            subprocess.run([nft_program() or "nft", "-f", "-"], input=RULES, text=True, check=True)

    def close(self) -> None:
        for space in (self.member, self.router, self.stranger):
            space.close()

    def forget(self) -> None:
        """The router has lost its mappings, as one that was switched off and on."""
        with self.router.inside():
            chains = ("miniupnpd", "prerouting_miniupnpd", "postrouting_miniupnpd")
            flush = "".join(f"flush chain inet filter {chain}\n" for chain in chains)
            subprocess.run([nft_program() or "nft", "-f", "-"], input=flush, text=True, check=True)

    def stranger_reaches(self, there: Endpoint) -> bool:
        """Whether a connection from outside arrives at the member."""
        with self.member.inside():
            listener = socket.create_server(("192.168.1.2", PORT))
        with self.stranger.inside():
            dialling = socket.socket()
        with listener, dialling:
            dialling.settimeout(0.5)
            try:
                dialling.connect((there.host, there.port))
            except OSError:
                return False
            listener.settimeout(SECONDS)
            listener.accept()[0].close()
            return True


@pytest.fixture
def world() -> Iterator[World]:
    """With nobody at the router who maps ports."""
    made = World()
    yield made
    made.close()


@contextmanager
def miniupnpd(world: World, folder: Path) -> Iterator[None]:
    """The router maps ports while the block runs, and forgets them then."""
    program = miniupnpd_program()
    assert program is not None
    settings = folder / "miniupnpd.conf"
    settings.write_text(SETTINGS, encoding="ascii")
    with world.router.inside():
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with (
        probe,
        (folder / "miniupnpd.log").open("ab") as log,
        subprocess.Popen(
            [*world.router.prefix, program, "-d", "-f", settings, "-P", folder / "pid"],
            stdout=log,
            stderr=log,
        ) as process,
    ):
        probe.connect((str(GATEWAY), ROUTER_PORT))
        probe.settimeout(0.1)
        for _ in range(SECONDS * 5):
            assert process.poll() is None, (folder / "miniupnpd.log").read_text(encoding="utf-8")
            try:
                probe.send(bytes(2))
                probe.recv(100)
                break
            except OSError:
                time.sleep(0.1)  # real processes need real time
        else:
            pytest.fail((folder / "miniupnpd.log").read_text(encoding="utf-8"))
        try:
            yield
        finally:
            process.kill()  # asked to end it sometimes does not
            process.wait(SECONDS)
            (folder / "pid").unlink(missing_ok=True)
            world.forget()


@pytest.mark.parametrize("by", [PCP, NAT_PMP])
async def test_a_port_is_mapped_and_given_back(world: World, tmp_path: Path, by: str) -> None:
    there = Endpoint(OUTER, PORT)
    with miniupnpd(world, tmp_path), world.member.inside():
        assert not world.stranger_reaches(there)
        router = Router(GATEWAY, PORT, by)
        assert await router.ask(600) == Granted(PORT, 600, IPv4Address(OUTER))
        assert router.by == by
        assert world.stranger_reaches(there)
        assert isinstance(await router.ask(0), Granted)
        assert not world.stranger_reaches(there)


async def test_a_mapping_lasts_as_long_as_its_block(world: World, tmp_path: Path) -> None:
    there = Endpoint(OUTER, PORT)
    with miniupnpd(world, tmp_path), world.member.inside():
        async with mapped_port(PORT) as mapping:
            await mapping.tried()
            assert (mapping.outer, mapping.by, mapping.why) == (there, PCP, None)
            assert world.stranger_reaches(there)
        assert not world.stranger_reaches(there)


async def test_a_router_that_was_restarted_is_asked_as_before(world: World, tmp_path: Path) -> None:
    there = Endpoint(OUTER, PORT)
    with world.member.inside():
        router = Router(GATEWAY, PORT)
        for _ in range(2):
            with miniupnpd(world, tmp_path):
                assert not world.stranger_reaches(there)
                assert await router.ask(600) == Granted(PORT, 600, IPv4Address(OUTER))
                assert world.stranger_reaches(there)


async def test_a_router_that_maps_nothing_says_so_at_once(world: World) -> None:
    with world.member.inside():
        async with mapped_port(PORT) as mapping:
            await mapping.tried()
            assert (mapping.outer, mapping.why) == (None, NoMapping.NO_ANSWER)
