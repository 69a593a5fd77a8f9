"""Round trips of ICMP echoes from a place of the lab: what a line feels like to others."""

from __future__ import annotations

import socket
import statistics
import struct
import time
from collections.abc import Sequence
from typing import Any, Final

import trio
from attrs import define, field

from scripts.lab.icmp import checksum
from scripts.lab.lab import LabPlace

INTERVAL: Final = 0.25
"""Seconds between two echoes: of 36 bytes, 0.15 % of an uplink of 800 kbit/s."""

_ECHO: Final = 8
_ECHO_REPLY: Final = 0
_HEADER: Final = struct.Struct("!BBHHH")
_STAMP: Final = struct.Struct("!d")
_TIMESPEC: Final = struct.Struct("qq")
_SO_TIMESTAMPNS: Final = 35
"""Linux: the kernel tells when a packet came, however late this process gets to it."""


def echo(number: int, now: float) -> bytes:
    """An echo request (RFC 792) that carries the time it was sent."""
    body = _STAMP.pack(now)
    blank = _HEADER.pack(_ECHO, 0, 0, 1, number & 0xFFFF) + body
    return _HEADER.pack(_ECHO, 0, checksum(blank), 1, number & 0xFFFF) + body


def sent_at(packet: bytes) -> float | None:
    """When the request was sent that this IP packet answers; None if it is no answer."""
    message = packet[(packet[0] & 15) * 4 :]
    if len(message) != _HEADER.size + _STAMP.size or message[0] != _ECHO_REPLY:
        return None
    sent: float = _STAMP.unpack_from(message, _HEADER.size)[0]
    return sent


@define
class Pings:
    """Echoes to one address and what came back."""

    sent: int = 0
    trips: list[float] = field(factory=list)
    """Seconds of each round trip, in the order of the answers."""
    at: list[float] = field(factory=list)
    """Unix time at which each of them began."""

    async def run(self, place: LabPlace, address: str) -> None:
        """Sends one every `INTERVAL` until cancelled."""
        with place.space.inside():
            raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        raw.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock = trio.socket.from_stdlib_socket(raw)
        with sock:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._receive, sock)
                while True:
                    self.sent += 1
                    await sock.sendto(echo(self.sent, time.time()), (address, 0))
                    await trio.sleep(INTERVAL)

    async def _receive(self, sock: trio.socket.SocketType) -> None:
        while True:
            packet, extra, _, _ = await sock.recvmsg(2048, 256)
            sent = sent_at(packet)
            if sent is not None:
                self.trips.append(_stamp(extra) - sent)
                self.at.append(sent)

    def figures(self) -> dict[str, Any]:
        """Milliseconds: median and 90th percentile; the rest was lost or is under way."""
        return milliseconds(self.trips) | {"sent": self.sent, "answered": len(self.trips)}


def milliseconds(trips: Sequence[float]) -> dict[str, float | None]:
    """Median and 90th percentile of seconds, as milliseconds; None if there are none."""
    if not trips:
        return {"median": None, "p90": None}
    ordered = sorted(trips)
    p90 = ordered[min(len(ordered) - 1, len(ordered) * 9 // 10)]
    return {"median": round(statistics.median(ordered) * 1000, 1), "p90": round(p90 * 1000, 1)}


def _stamp(extra: Sequence[tuple[int, int, bytes]]) -> float:
    for level, kind, data in extra:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return float(seconds + nanoseconds * 1e-9)
    return time.time()
