"""What the kernel says of a TCP connection: Linux's ``struct tcp_info`` (linux/tcp.h)."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Final, Protocol

from attrs import frozen

_LAYOUT: Final = struct.Struct(
    "=5xB2x"  # state, congestion state, retransmits, probes, backoff; options; window scales
    "4x4xI4x"  # rto, ato; snd_mss; rcv_mss
    "20x16x"  # unacked to fackets; four times
    "8xI20x"  # pmtu, rcv_ssthresh; rtt; rttvar to reordering
    "12x"  # rcv_rtt, rcv_space, total_retrans
    "16xQQ"  # two pacing rates; bytes_acked, bytes_received
    "II"  # segs_out, segs_in
    "II4xI"  # notsent_bytes, min_rtt; data_segs_in; data_segs_out
    "Q"  # delivery_rate
    "32x"  # three times; delivered, delivered_ce
    "QQ"  # bytes_sent, bytes_retrans (since Linux 4.19)
)

_TIMESTAMPS: Final = 1
"""TCPI_OPT_TIMESTAMPS of ``tcpi_options``."""

_ANSWER_BYTES: Final = 256
"""More than the structure has (248 in Linux 6.18): a longer answer is cut."""

MICROSECONDS: Final = 1_000_000


class SocketOptions(Protocol):
    """What is needed of a socket, trio's or the standard library's."""

    def getsockopt(self, level: int, optname: int, buflen: int) -> bytes:
        """As `socket.socket.getsockopt`."""


@frozen
class TcpInfo:
    """Counters since the connection began; times in seconds."""

    timestamps: bool
    """Every segment carries time stamps (12 bytes)."""
    segment: int
    """Payload of a full segment."""
    rtt: float
    """Smoothed round trip; delays of acknowledgements at the other end are part of it."""
    bytes_acked: int
    bytes_received: int
    segs_out: int
    """All segments: handshake, data, data again, acknowledgements."""
    segs_in: int
    notsent: int
    """Bytes that were written and not yet sent for the first time."""
    min_rtt: float
    """Least round trip of the last minutes (sysctl net.ipv4.tcp_min_rtt_wlen)."""
    data_segs_out: int
    delivery_rate: int
    """Bytes a second, as the kernel last measured."""
    bytes_sent: int
    """Payload, what was sent again included."""
    bytes_retrans: int
    """Payload sent again."""


def parse(answer: bytes) -> TcpInfo | None:
    """The counters in what the kernel answered; None if it is too old for them."""
    if len(answer) < _LAYOUT.size:
        return None
    (
        options,
        segment,
        rtt,
        acked,
        received,
        out,
        into,
        notsent,
        least,
        data_out,
        rate,
        sent,
        again,
    ) = _LAYOUT.unpack_from(answer)
    return TcpInfo(
        timestamps=bool(options & _TIMESTAMPS),
        segment=segment,
        rtt=rtt / MICROSECONDS,
        bytes_acked=acked,
        bytes_received=received,
        segs_out=out,
        segs_in=into,
        notsent=notsent,
        min_rtt=least / MICROSECONDS,
        data_segs_out=data_out,
        delivery_rate=rate,
        bytes_sent=sent,
        bytes_retrans=again,
    )


def read(sock: SocketOptions) -> TcpInfo | None:
    """The counters of a connection; None where the system has none, or if it is closed."""
    if sys.platform != "linux":
        return None
    try:
        return parse(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ANSWER_BYTES))
    except OSError:
        return None
