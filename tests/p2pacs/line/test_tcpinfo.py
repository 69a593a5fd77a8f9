import socket
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2pacs.line.tcpinfo import parse, read

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux answers")


def answer(**values: int) -> bytes:
    """A ``struct tcp_info`` with these fields, by their offsets in linux/tcp.h."""
    fields = {
        "options": (5, "B"),
        "snd_mss": (16, "I"),
        "rtt": (68, "I"),
        "bytes_acked": (120, "Q"),
        "bytes_received": (128, "Q"),
        "segs_out": (136, "I"),
        "segs_in": (140, "I"),
        "notsent_bytes": (144, "I"),
        "min_rtt": (148, "I"),
        "data_segs_out": (156, "I"),
        "delivery_rate": (160, "Q"),
        "bytes_sent": (200, "Q"),
        "bytes_retrans": (208, "Q"),
    }
    data = bytearray(248)
    for name, value in values.items():
        offset, kind = fields[name]
        struct.pack_into(f"={kind}", data, offset, value)
    return bytes(data)


def test_every_field_stands_where_the_kernel_puts_it() -> None:
    info = parse(
        answer(
            options=0x47,
            snd_mss=1428,
            rtt=42_500,
            bytes_acked=1,
            bytes_received=2,
            segs_out=3,
            segs_in=4,
            notsent_bytes=5,
            min_rtt=42_000,
            data_segs_out=6,
            delivery_rate=7,
            bytes_sent=8,
            bytes_retrans=9,
        )
    )
    assert info is not None
    assert info.timestamps
    assert (info.segment, info.rtt, info.min_rtt) == (1428, 0.0425, 0.042)
    assert (info.bytes_acked, info.bytes_received) == (1, 2)
    assert (info.segs_out, info.segs_in, info.data_segs_out) == (3, 4, 6)
    assert (info.notsent, info.delivery_rate) == (5, 7)
    assert (info.bytes_sent, info.bytes_retrans) == (8, 9)


@given(st.binary(max_size=300))
def test_whatever_the_kernel_answers_is_read_or_too_short(data: bytes) -> None:
    assert (parse(data) is None) == (len(data) < 216)


@linux
def test_a_connection_is_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        other, _ = server.accept()
        with client, other:
            client.sendall(bytes(5000))
            while len(other.recv(5000, socket.MSG_PEEK)) < 5000:
                pass
            sent, received = read(client), read(other)
    assert sent is not None
    assert received is not None
    assert (sent.bytes_sent, sent.bytes_retrans, sent.notsent) == (5000, 0, 0)
    assert received.bytes_received == 5000
    assert sent.segs_out >= 3
    assert received.segs_in >= 3
    assert sent.min_rtt > 0


def test_a_closed_socket_has_no_counters() -> None:
    sock = socket.socket()
    sock.close()
    assert read(sock) is None
