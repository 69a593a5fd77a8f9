"""What a connection has cost the line: estimates, corrected by what the kernel counted.

Every byte that is *committed* to the line is charged once: reserved, being written, waiting in
the kernel, or sent. Estimates are charged at once, so that nothing is overlooked between two
looks at the kernel; a look gives what was really committed, and the difference is charged.
What is reserved and not yet sent belongs to both, else each look would give it back and the
next block would come too early. Pure: no clock, no I/O.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from p2pacs.line.pacing import SEGMENT_BYTES, Overhead
from p2pacs.line.queue_delay import QueueDelay
from p2pacs.line.tcpinfo import TcpInfo

ACK_HELD_BACK: Final = 0.04
"""An acknowledgement waits for a second segment, for this long at most (Linux's TCP_DELACK_MIN):
the slower the segments come, the longer, and that is no queue. (A line of unknown rate that took it
for one became slower for it, and then waited longer.)"""

TCP_HEADER: Final = 20
TIME_STAMPS: Final = 12
IPV4_HEADER: Final = 20
IPV6_HEADER: Final = 40


@frozen
class Look:
    """Result of one look at the kernel's counters of a connection."""

    correction: float = 0.0
    """Wire bytes that were charged too little (negative: too much) since the last look."""
    delivered: float = 0.0
    """Wire bytes that arrived at the other end since then."""
    delay: float | None = None
    """Seconds in a queue on the way; None if nothing tells."""
    busy: bool = False
    """Whether there are bytes that have not arrived."""
    sent: float = 0.0
    """Wire bytes that the kernel sent since the last look."""
    trip: float | None = None
    """The least round trip of the last minutes, in seconds."""


class _Meter:
    """Bytes of one direction: charged by estimate, and counted by the kernel."""

    def __init__(self, overhead: Overhead, ip_header: int = IPV4_HEADER) -> None:
        self._overhead = overhead
        self._ip_header = ip_header
        self._charged = 0.0
        self._truth = 0.0

    def _charge(self, size: float) -> float:
        self._charged += size
        return size

    def _correct(self, truth: float) -> float:
        correction = truth - self._truth - self._charged
        self._truth, self._charged = truth, 0.0
        return correction

    def _header(self, info: TcpInfo) -> int:
        return self._ip_header + TCP_HEADER + TIME_STAMPS * info.timestamps


class Outgoing(_Meter):
    """What a connection puts on the uplink. All methods return the wire bytes to charge."""

    def __init__(self, overhead: Overhead, ip_header: int = IPV4_HEADER) -> None:
        super().__init__(overhead, ip_header)
        self._prepaid = 0
        self._sealed = 0
        self._ahead = 0
        self._writing = False
        self._left = 0.0
        self._delivered = 0.0
        self._delay = QueueDelay()
        self._held_back = 0.0
        """Seconds for which the other end holds back an acknowledgement."""

    def paced(self, rate: float) -> None:
        """Segments leave one by one, at this many bytes a second."""
        self._held_back = min(ACK_HELD_BACK, SEGMENT_BYTES / rate)

    def prepay(self, size: int) -> float:
        """``size`` payload bytes will be written soon."""
        wire = self._overhead.wire_bytes(size)
        self._prepaid += wire
        return self._charge(wire)

    def write(self, size: int) -> float:
        """``size`` payload bytes are being written; what was prepaid is free."""
        self._writing = True
        self._sealed += self._overhead.sealed(size)
        wire = self._overhead.wire_bytes(size)
        used = min(wire, self._prepaid)
        self._prepaid -= used
        return self._charge(wire - used)

    def written(self) -> None:
        """The kernel has all of it."""
        self._writing = False

    def received(self, size: int) -> float:
        """``size`` payload bytes came in: they are acknowledged."""
        return self._charge(self._overhead.ack_bytes(size))

    def look(self, info: TcpInfo, now: float) -> Look:
        """What has become of the bytes since the last look."""
        header = self._header(info)
        taken = info.bytes_sent - info.bytes_retrans + info.notsent
        data = info.bytes_acked * (1 + header / max(info.segment, 1))
        before, self._delivered = (
            self._delivered,
            data + header * (info.segs_out - info.data_segs_out),
        )
        earlier, self._left = self._left, info.bytes_sent + header * info.segs_out
        return Look(
            self._correction(info),
            self._delivered - before,
            self._delay.update(info.rtt - self._held_back, info.min_rtt, info.segs_in, now),
            busy=info.bytes_acked < taken,
            sent=self._left - earlier,
            trip=info.min_rtt,
        )

    def _correction(self, info: TcpInfo) -> float:
        taken = info.bytes_sent - info.bytes_retrans + info.notsent
        if not self._writing:  # the handshake's bytes, and what TLS says by itself
            self._ahead = taken - self._sealed
        unsent = info.notsent + max(0, self._sealed + self._ahead - taken)
        segments = info.segs_out + -(-unsent // max(info.segment, 1))
        sent = info.bytes_sent + unsent + self._header(info) * segments
        return self._correct(sent + self._prepaid)

    def close(self, info: TcpInfo | None) -> float:
        """The last look: what was reserved will never be sent."""
        wasted, self._prepaid = self._prepaid, 0
        if info is None:
            return -wasted
        self._writing = False
        return self._correction(info)


class Incoming(_Meter):
    """What a connection takes of the downlink."""

    def received(self, size: int) -> float:
        """``size`` payload bytes came in."""
        return self._charge(self._overhead.wire_bytes(size))

    def write(self, size: int) -> float:
        """``size`` payload bytes are being written: they will be acknowledged."""
        return self._charge(self._overhead.ack_bytes(size))

    def look(self, info: TcpInfo) -> Look:
        """What has come in since the last look."""
        return Look(self._correct(info.bytes_received + self._header(info) * info.segs_in))
