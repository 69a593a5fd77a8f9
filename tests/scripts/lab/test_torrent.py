"""The opponent: one seed and one client on loopback, started together."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio

from scripts.lab import opponent
from scripts.program import free_port
from tests.waiting import eventually

torrent = pytest.importorskip("scripts.lab.torrent", reason="libtorrent is an extra")
HOST = "127.0.0.1"
SIZE = 300_000


def test_endpoints() -> None:
    assert torrent.endpoint("10.2.0.1:6881") == ("10.2.0.1", 6881)


def test_the_common_start_is_waited_for(tmp_path: Path) -> None:
    begin = time.time() + 0.05
    opponent.publish(tmp_path / "start", begin)
    torrent.common_start(tmp_path / "start")
    assert begin <= time.time()


@pytest.mark.system
def test_a_client_has_all_and_says_when(tmp_path: Path) -> None:
    made = opponent.make_torrent(tmp_path, SIZE)
    seed, client = (f"{HOST}:{free_port(HOST)}" for _ in range(2))
    opponent.publish(tmp_path / "start", time.time())
    (tmp_path / "client").mkdir()
    command = [sys.executable, "-m", "scripts.lab.torrent", made]
    fetch = ["--listen", client, "--start", tmp_path / "start", "--connect", seed]
    with (
        subprocess.Popen([*command, tmp_path, "--listen", seed, "--seed"]) as seeding,
        subprocess.Popen(
            [*command, tmp_path / "client", *fetch], stdout=subprocess.PIPE
        ) as fetching,
    ):
        try:
            assert fetching.stdout is not None
            said = [json.loads(fetching.stdout.readline()) for _ in range(2)]
            # It has all of it when it says so, in memory: its threads write it a little later.
            wanted, there = (folder / "study" for folder in (tmp_path, tmp_path / "client"))
            trio.run(eventually, lambda: there.read_bytes() == wanted.read_bytes(), 60)
        finally:
            seeding.kill()
            fetching.kill()
    assert [line["event"] for line in said] == ["ready", "transfer ended"]
    assert said[1]["state"] == "complete"
