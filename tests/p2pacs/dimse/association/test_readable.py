import resource
import socket

import pytest

from p2pacs.dimse.association.readable import readable


def test_sockets_with_bytes_are_named() -> None:
    ours, theirs = socket.socketpair()
    silent, _other = socket.socketpair()
    with ours, theirs, silent, _other:
        assert readable([ours, silent], 0) == []
        theirs.send(b"x")
        assert readable([ours, silent], 0) == [ours]
        _other.close()
        assert readable([ours, silent], 10) == [ours, silent]


def test_a_closed_socket_is_told() -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    with pytest.raises((OSError, ValueError)):
        readable([ours], 0)
    theirs.close()


def test_descriptors_may_have_any_number() -> None:
    """select(2) fails above 1,023."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 1100:
        pytest.skip("no more than 1,100 open files are allowed here")
    ours, theirs = socket.socketpair()
    kept = [ours.dup() for _ in range(1040)]
    with ours, theirs:
        theirs.send(b"x")
        assert kept[-1].fileno() > 1023
        assert readable([kept[-1]], 0) == [kept[-1]]
    for one in kept:
        one.close()
