"""The router's time: packets take their time on both lines, whenever it gets to them."""

import json
import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from scripts.lab import icmp, ping
from scripts.lab.line import LabLine
from scripts.lab.router import Port, Router, cut_file, plan, rates_file, read_plan
from scripts.lab.trace import Trace

SLOW = LabLine(uplink=800_000, downlink=400_000, delay=0.01, queue=3010)
LIMITED = LabLine(800_000, 400_000, delay=0.01, queue=10**6, hops=icmp.LIMITED)
SILENT = LabLine(800_000, 400_000, delay=0.01, queue=10**6, hops=icmp.SILENT)
LOSSY = LabLine(uplink=800_000, downlink=400_000, delay=0.01, queue=10**6, loss=0.3)


UDP, ICMP = 17, 1


def packet(
    source: int, there: IPv4Address, body: bytes, ttl: int = 64, protocol: int = UDP
) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 7, 0, ttl, protocol, 0)
    return head + IPv4Address(f"10.2.0.{source}").packed + there.packed + body


class World:
    """Three members whose devices are sockets, and a clock that is set by hand."""

    def __init__(self, folder: Path, line: LabLine) -> None:
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(3)]
        self.sockets = [sock for pair in pairs for sock in pair]
        for sock in self.sockets:
            sock.setblocking(False)
        self.members = [near for near, _ in pairs]
        self.devices = [far.fileno() for _, far in pairs]
        self.trace = folder / "trace"
        self.written = os.open(self.trace, os.O_WRONLY | os.O_CREAT)
        self.now = 1000.0
        ports = [
            Port(f"m{number}", f"10.2.0.{number}", device, line)
            for number, device in enumerate(self.devices)
        ]
        self.cut, self.rates = cut_file(self.trace), rates_file(self.trace)
        self.router = Router(ports, self.written, self.trace, lambda: self.now)

    def send(self, source: int, target: int, size: int, mark: int = 0, ttl: int = 64) -> bytes:
        there = IPv4Address(f"10.2.0.{target}")
        return self.give(source, packet(source, there, bytes([mark] * (size - 20)), ttl))

    def give(self, source: int, what: bytes) -> bytes:
        self.members[source].send(what)
        self.router.take(self.devices[source])
        return what

    def received(self, member: int) -> list[bytes]:
        packets = []
        while True:
            try:
                packets.append(self.members[member].recv(2000))
            except BlockingIOError:
                return packets


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    made = World(tmp_path, getattr(request, "param", SLOW))
    yield made
    os.close(made.written)
    for sock in made.sockets:
        sock.close()


def run_until(world: World, when: float) -> None:
    """Wakes up the router whenever it wants to be."""
    while world.now < when:
        world.now = min(when, world.now + max(1e-4, world.router.deliver()))


def test_a_packet_takes_both_lines_and_both_delays(world: World) -> None:
    begin = world.now
    world.send(0, 1, 1000)
    took = 0.01 + 0.01 + 0.01 + 0.02  # up at 800 kbit/s, two delays, down at 400 kbit/s
    run_until(world, begin + took - 0.001)
    assert world.received(1) == []
    run_until(world, begin + took + 0.001)
    assert [len(packet) for packet in world.received(1)] == [1000]


def test_waking_up_late_does_not_add_up(world: World) -> None:
    begin = world.now
    world.send(0, 1, 1000)
    world.send(0, 1, 1000)
    world.now = begin + 0.045  # both have reached the downlink meanwhile, 10 ms apart
    world.router.deliver()
    run_until(world, begin + 0.069)
    assert len(world.received(1)) == 1
    run_until(world, begin + 0.071)
    assert len(world.received(1)) == 1


def test_two_senders_share_a_downlink_in_the_order_of_arrival(world: World) -> None:
    world.send(0, 1, 900, mark=1)
    world.send(2, 1, 300, mark=2)
    run_until(world, world.now + 0.2)
    assert [packet[-1] for packet in world.received(1)] == [2, 1]


def test_a_full_uplink_drops_and_is_counted(world: World) -> None:
    for _ in range(5):
        world.send(0, 1, 1000)
    run_until(world, world.now + 0.3)
    assert len(world.received(1)) == 3
    trace = Trace.read(world.trace, ["m0", "m1", "m2"])
    assert trace.counters[-1, 0].tolist() == [3000, 0, 2, 0, 0]
    assert trace.counters[-1, 1].tolist() == [0, 3000, 0, 0, 0]


def test_what_is_for_nobody_goes_nowhere(world: World) -> None:
    world.send(0, 77, 100)
    world.members[0].send(b"\x60" + bytes(39))  # IPv6
    world.router.take(world.devices[0])
    run_until(world, world.now + 0.2)
    assert [world.received(member) for member in range(3)] == [[], [], []]


@pytest.mark.parametrize("world", [LOSSY], indirect=True)
def test_losses_are_a_part_of_the_packets_and_the_same_every_time(
    world: World, tmp_path: Path
) -> None:
    def arrived(one: World) -> list[int]:
        for mark in range(200):
            one.send(0, 1, 40, mark)
        run_until(one, one.now + 0.5)
        return [packet[-1] for packet in one.received(1)]

    (tmp_path / "again").mkdir()
    again = World(tmp_path / "again", LOSSY)
    marks = arrived(world)
    assert marks == arrived(again)
    assert 120 <= len(marks) <= 160
    os.close(again.written)
    for sock in again.sockets:
        sock.close()


def test_the_plan_reads_as_it_was_written() -> None:
    ports = [Port("a", "10.2.0.1", 7, SLOW), Port("b", "10.2.0.2", 8, LOSSY)]
    assert list(read_plan(plan(ports))) == ports


def test_a_line_that_is_cut_carries_nothing_either_way(world: World) -> None:
    world.send(0, 1, 1000)  # on its way when the line is cut
    world.cut.write_text("m1", encoding="utf-8")
    run_until(world, world.now + 0.5)
    world.send(1, 0, 1000)
    world.send(0, 2, 1000)
    run_until(world, world.now + 0.5)
    assert [len(world.received(member)) for member in range(3)] == [0, 0, 1]
    world.cut.unlink()
    run_until(world, world.now + 0.5)
    world.send(0, 1, 1000)
    run_until(world, world.now + 0.5)
    assert len(world.received(1)) == 1


def test_a_rate_that_changes_counts_for_what_comes_then(world: World) -> None:
    world.rates.write_text(json.dumps({"m0": 80_000}), encoding="utf-8")
    run_until(world, world.now + 0.2)
    begin = world.now
    world.send(0, 1, 1000)
    took = 0.1 + 0.01 + 0.01 + 0.02
    run_until(world, begin + took - 0.001)
    assert world.received(1) == []
    run_until(world, begin + took + 0.001)
    assert len(world.received(1)) == 1


def test_a_packet_that_ends_at_the_first_router_never_sees_the_queue(world: World) -> None:
    world.send(0, 1, 1400)
    world.send(0, 1, 1400)  # 28 ms in the queue
    sent = world.send(0, 1, 40, ttl=1)
    run_until(world, world.now + 0.005)
    (answer,) = world.received(0)
    assert answer[12:16] == icmp.OWN.packed
    assert answer[20:22] == bytes([11, 0])
    assert answer[28:] == sent[:28]


def test_the_answer_of_the_router_behind_the_queue_waited_in_it(world: World) -> None:
    begin = world.now
    world.send(0, 1, 1400)
    sent = world.send(0, 1, 40, ttl=2)
    took = 0.014 + 0.0004 + 2 * 0.01 + 56 * 8 / 400_000  # two packets up, the delay twice, down
    run_until(world, begin + took - 0.001)
    assert world.received(0) == []
    run_until(world, begin + took + 0.001)
    (answer,) = world.received(0)
    assert (answer[12:16], answer[20], answer[28:]) == (icmp.PROVIDER.packed, 11, sent[:28])
    run_until(world, begin + 0.1)
    assert [len(one) for one in world.received(1)] == [1400]


@pytest.mark.parametrize("world", [LIMITED], indirect=True)
def test_a_router_that_is_sparing_tells_six_and_then_one_a_second(world: World) -> None:
    def told(seconds: float) -> int:
        for _ in range(round(seconds / 0.1)):
            world.send(0, 1, 40, ttl=2)
            run_until(world, world.now + 0.1)
        return len(world.received(0))

    assert told(0.9) == 6
    assert 9 <= told(10.0) <= 11
    run_until(world, world.now + 30)
    assert told(0.9) == 6


@pytest.mark.parametrize("world", [SILENT], indirect=True)
def test_a_router_that_is_silent_answers_echoes_alone(world: World) -> None:
    for ttl in (1, 2):
        world.send(0, 1, 40, ttl=ttl)
    run_until(world, world.now + 0.2)
    assert world.received(0) == []
    for router in (icmp.OWN, icmp.PROVIDER):
        world.give(0, packet(0, router, ping.echo(3, 5.0), protocol=ICMP))
        run_until(world, world.now + 0.2)
        (answer,) = world.received(0)
        assert answer[12:16] == router.packed
        assert ping.sent_at(answer) == 5.0


def test_nothing_is_told_of_a_line_that_is_cut(world: World) -> None:
    world.cut.write_text("m0", encoding="utf-8")
    run_until(world, world.now + 0.2)
    world.send(0, 1, 40, ttl=2)
    run_until(world, world.now + 0.2)
    assert world.received(0) == []
