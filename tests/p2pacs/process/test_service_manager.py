"""What systemd is told, on real datagram sockets; the watchdog in virtual time."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from p2pacs.process.service_manager import (
    ALIVE,
    READY,
    STOPPING,
    keep_alive,
    notify,
    watchdog_seconds,
)
from p2pacs.process.stopping import run_until_stopped, tell_ready

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="systemd is Linux's")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


def _heard(manager: socket.socket) -> list[str]:
    heard = []
    while True:
        try:
            heard.append(manager.recv(1024).decode())
        except BlockingIOError:
            return heard


def _environment(manager: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": manager.getsockname(), **more}


def test_it_is_told(manager: socket.socket) -> None:
    assert notify(READY, _environment(manager))
    assert _heard(manager) == ["READY=1"]


def test_a_name_in_the_abstract_namespace() -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        name = f"p2pacs-test-{os.getpid()}"
        listening.bind(f"\0{name}")
        assert notify(READY, {"NOTIFY_SOCKET": f"@{name}"})
        assert listening.recv(100) == b"READY=1"


@pytest.mark.parametrize("where", ["", "relative", "vsock:2:1", "/nowhere/at/all", "@nobody"])
def test_nobody_listens(where: str) -> None:
    assert not notify(READY, {"NOTIFY_SOCKET": where})
    assert not notify(READY, {})


def test_one_that_does_not_read_is_not_waited_for(manager: socket.socket) -> None:
    environment = _environment(manager)
    told = [notify(ALIVE, environment) for _ in range(5000)]
    assert told[0]
    assert not told[-1]


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({"WATCHDOG_USEC": "-1"}, 0.0),
    ],
)
def test_how_long_it_may_be_silent(said: dict[str, str], seconds: float) -> None:
    assert watchdog_seconds(said, pid=7) == seconds


async def test_it_says_that_it_is_alive(manager: socket.socket, autojump_clock: MockClock) -> None:
    environment = _environment(manager, WATCHDOG_USEC="20000000")
    with trio.move_on_after(25):
        await keep_alive(environment)
    assert _heard(manager) == [ALIVE] * 3
    with trio.fail_after(1):
        await keep_alive(_environment(manager))  # nobody watches


def test_a_program_tells_when_it_is_ready_and_when_it_stops(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)

    async def work(stop: trio.Event) -> None:
        tell_ready("it listens")
        assert _heard(manager) == [READY]
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()
        assert _heard(manager) == [STOPPING]

    run_until_stopped(work)
    assert capsys.readouterr().out == "it listens\n"
