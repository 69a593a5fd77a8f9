"""A router over UDP: a real miniupnpd in a world of its own (`inside_asking.py`), and strangers."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from p2pacs.mapping import asking
from p2pacs.mapping.asking import ANSWERS, exchange
from scripts.lab import shell


@pytest.mark.miniupnpd
@pytest.mark.system
def test_a_real_router_inside() -> None:
    tests = Path(__file__).with_name("inside_asking.py")
    command = [*shell.way_in(), sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, tests], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


@pytest.mark.parametrize("noise", [1, ANSWERS, 3 * ANSWERS])
async def test_a_router_that_talks_without_end_is_not_listened_to_for_long(
    monkeypatch: pytest.MonkeyPatch, noise: int
) -> None:
    monkeypatch.setattr(asking, "WAITS", (30.0,))
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    far.setblocking(False)
    with far, trio.socket.from_stdlib_socket(near) as sock:
        sent = 0
        while sent < noise:
            try:
                far.send(bytes(60_000))
            except BlockingIOError:
                break
            sent += 1
        looked_at = []

        def parse(data: bytes) -> bytes | None:
            looked_at.append(len(data))
            return b"enough" if len(looked_at) == sent and sent < ANSWERS else None

        said = await exchange(sock, b"?", parse)
        assert said == (b"enough" if sent < ANSWERS else None)
        assert set(looked_at) == {1101}
