import select
import socket
import sys

import pytest

from p2pacs.line.readable import READS_TOGETHER, ReadableSockets


def test_linux_reads_together() -> None:
    assert (sys.platform == "linux") is READS_TOGETHER


@pytest.mark.skipif(not READS_TOGETHER, reason="Linux's epoll")
def test_sockets_with_bytes_are_named() -> None:
    one, other = socket.socketpair(), socket.socketpair()
    sockets = ReadableSockets()
    for ours, _ in (one, other):
        sockets.add(ours.fileno())
    assert sockets.now(8) == []
    assert select.select([sockets.fileno()], [], [], 0)[0] == []
    one[1].send(b"x")
    assert sockets.now(8) == [one[0].fileno()]
    assert select.select([sockets.fileno()], [], [], 0)[0] == [sockets.fileno()]
    other[1].close()
    assert sorted(sockets.now(8)) == sorted([one[0].fileno(), other[0].fileno()])
    assert len(sockets.now(1)) == 1
    sockets.remove(one[0].fileno())
    assert sockets.now(8) == [other[0].fileno()]
    sockets.close()
    for end in (*one, other[0]):
        end.close()
