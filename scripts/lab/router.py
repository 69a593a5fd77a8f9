"""The router between the lines: one process that carries every packet of the lab.

    python -m scripts.lab.router PLAN TRACE

PLAN is JSON: for each line its address, the descriptor of its TUN device (opened in the
member's namespace, inherited by this process) and its rates. A packet that a member sends
takes its time on the member's uplink, then the delay of both lines, then its time on the
receiver's downlink. The time a packet leaves follows from when it came alone, not from when
this process got to it, so that a late wake-up does not add up.

On its way a packet passes two routers: the hospital's own in front of the uplink's queue, and the
provider's behind it (`scripts.lab.icmp`). They answer what ends there, echoes to them and packets
whose TTL is used up; the provider's answers come through the downlink's queue. The TTL of what goes
on is left as it is.

Names of lines that are cut now stand in the file CUT beside TRACE (`cut_file`), one a line; rates
of uplinks that have changed in `rates_file`.
"""

from __future__ import annotations

import gc
import json
import os
import random
import select
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from heapq import heappop, heappush
from ipaddress import IPv4Address
from pathlib import Path
from typing import Final

import attrs

from scripts.lab.icmp import OWN, PROVIDER, ErrorLimit, echo_reply, time_exceeded
from scripts.lab.line import MTU, Direction, LabLine
from scripts.lab.trace import INTERVAL, record

BATCH: Final = 32
"""Packets read from one device before the others have their turn."""

SLACK: Final = 0.0003
"""Seconds that packets may leave early, so that those due together cost one wake-up."""

REAL_TIME_PRIORITY: Final = 10
NICENESS: Final = -15

LAN_SECONDS: Final = 0.001
"""What the hospital's own router takes to answer, and the way to it and back."""

HEADER: Final = 20
IPV4: Final = 4
TTL: Final = 8
TARGET: Final = slice(16, 20)
"""Of an IPv4 packet: the least size, the version, where TTL and destination stand (RFC 791)."""

ROUTERS: Final = {OWN.packed: 1, PROVIDER.packed: 2}
"""Address → how many routers there are on the way to it, itself included ..."""

BEYOND: Final = 3
"""... and to members more."""


@attrs.frozen
class Port:
    """A line, and the device at whose other end its member is."""

    name: str
    address: str
    device: int
    """Descriptor of the TUN device."""
    line: LabLine


def plan(ports: Iterable[Port]) -> str:
    """The router's PLAN."""
    return json.dumps([attrs.asdict(port) for port in ports])


def cut_file(trace: Path) -> Path:
    """Where the names of lines that are cut stand."""
    return trace.with_suffix(".cut")


def rates_file(trace: Path) -> Path:
    """Where rates of uplinks stand that have changed: JSON, name → bits a second."""
    return trace.with_suffix(".rates")


def read_plan(text: str) -> Iterator[Port]:
    """What `plan` wrote."""
    for port in json.loads(text):
        yield Port(**port | {"line": LabLine(**port["line"])})


class _End:
    """One port while the router runs."""

    __slots__ = (
        "chance",
        "cut",
        "delay",
        "device",
        "down",
        "limits",
        "loss",
        "lost",
        "name",
        "up",
        "uplink",
    )

    def __init__(self, port: Port) -> None:
        line = port.line
        self.name = port.name
        self.cut = False
        self.device = port.device
        self.delay = line.delay
        self.loss = line.loss
        self.lost = 0
        self.chance = random.Random(port.name)  # noqa: S311 - the same losses every time
        self.limits = {router: ErrorLimit(line.hops) for router in (OWN, PROVIDER)}
        self.uplink = line.uplink
        self.up = Direction(line.uplink, line.queue)
        self.down = Direction(line.downlink, line.down_queue)

    def change(self, uplink: int) -> None:
        """The uplink's rate is another from now on."""
        if uplink != self.uplink:
            self.uplink = uplink
            self.up.change(uplink)

    def counters(self, now: float) -> tuple[float, ...]:
        """In the order of `scripts.lab.trace.FIELDS`."""
        up, down = self.up, self.down
        return up.sent(now), down.sent(now), up.dropped, down.dropped, self.lost


class Router:
    """Carries packets between ports until the process ends."""

    def __init__(
        self,
        ports: Iterable[Port],
        trace: int,
        files: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is read before `run`.

        Args:
            ports: All lines.
            trace: Descriptor that samples are written to.
            files: The trace's path: beside it stand `cut_file` and `rates_file`, if they exist.
            clock: The present, in seconds.
        """
        self._trace = trace
        self._cut = cut_file(files)
        self._rates = rates_file(files)
        self._clock = clock
        self._ends = {IPv4Address(port.address).packed: _End(port) for port in ports}
        self._by_device = {end.device: end for end in self._ends.values()}
        self._due: list[tuple[float, int, _End, bytes, bool]] = []
        """Heap: when, a number that keeps the order, to whom, what, whether at its downlink."""
        self._number = 0
        self._sample_at = 0.0

    def run(self) -> None:
        """Runs for ever."""
        devices = select.epoll()
        for device in self._by_device:
            devices.register(device, select.EPOLLIN)
        watched = [devices.fileno()]  # select takes microseconds, epoll milliseconds
        while True:
            wait = self.deliver()
            if select.select(watched, (), (), wait)[0]:
                for device, _ in devices.poll(0):
                    self.take(device)

    def deliver(self) -> float:
        """Moves on what is due; seconds until the next is."""
        due, now = self._due, self._clock()
        late = now + SLACK
        while due and due[0][0] <= late:
            when, _, end, packet, arrived = heappop(due)
            if end.cut:
                end.lost += 1
            elif arrived:
                with suppress(OSError):  # the member's device is down: it has ended
                    os.write(end.device, packet)
            elif (leaves := end.down.take(len(packet), when)) is not None:
                self._push(leaves, end, packet, arrived=True)
        if now >= self._sample_at:
            self._sample(now)
        return max(0.0, (min(due[0][0], self._sample_at) if due else self._sample_at) - now)

    def _push(self, when: float, end: _End, packet: bytes, *, arrived: bool) -> None:
        self._number += 1
        heappush(self._due, (when, self._number, end, packet, arrived))

    def take(self, device: int) -> None:
        """Takes what the member at this device sends."""
        sender = self._by_device[device]
        for _ in range(BATCH):
            try:
                packet = os.read(device, MTU + 1)
            except BlockingIOError:
                return
            if len(packet) < HEADER or packet[0] >> 4 != IPV4:
                continue
            self._carry(sender, packet)

    def _carry(self, sender: _End, packet: bytes) -> None:
        target = packet[TARGET]
        hops = min(packet[TTL], ROUTERS.get(target, BEYOND))
        receiver = self._ends.get(target)
        if hops >= BEYOND and receiver is None:
            return
        if sender.cut:
            sender.lost += 1
            return
        now = self._clock()
        if hops <= ROUTERS[OWN.packed]:
            self._answer(sender, packet, OWN, partial(self._push, now + LAN_SECONDS, arrived=True))
            return
        leaves = sender.up.take(len(packet), now)
        if leaves is None:
            return
        if sender.loss and sender.chance.random() < sender.loss:
            sender.lost += 1
            return
        if hops < BEYOND:
            there = leaves + 2 * sender.delay
            self._answer(sender, packet, PROVIDER, partial(self._push, there, arrived=False))
        elif receiver is not None:
            there = leaves + sender.delay + receiver.delay
            self._push(there, receiver, packet, arrived=False)

    def _answer(
        self, sender: _End, packet: bytes, router: IPv4Address, push: Callable[[_End, bytes], None]
    ) -> None:
        """What a router says of a packet that ends there."""
        if packet[TARGET] == router.packed:
            answer = echo_reply(packet)
        elif sender.limits[router].takes(self._clock()):
            answer = time_exceeded(packet, router)
        else:
            answer = None
        if answer is not None:
            push(sender, answer)

    def _sample(self, now: float) -> None:
        names = self._cut.read_text(encoding="utf-8").splitlines() if self._cut.exists() else []
        rates = json.loads(self._rates.read_text(encoding="utf-8")) if self._rates.exists() else {}
        for end in self._ends.values():
            end.cut = end.name in names
            end.change(rates.get(end.name, end.uplink))
        counters = [value for end in self._ends.values() for value in end.counters(now)]
        os.write(self._trace, record(time.time(), counters))
        self._sample_at = now + INTERVAL


def _go_first() -> None:
    """Before all members: their work must not delay packets of others."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(REAL_TIME_PRIORITY))


def main() -> None:
    """The command line."""
    ports = list(read_plan(Path(sys.argv[1]).read_text(encoding="utf-8")))
    trace = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    router = Router(ports, trace, Path(sys.argv[2]))
    gc.disable()  # nothing here is cyclic, and a collection would delay packets
    _go_first()
    router.run()


if __name__ == "__main__":
    main()
