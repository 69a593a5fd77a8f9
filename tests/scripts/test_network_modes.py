"""Every folder and file of a network is its account's alone, whatever was careless before it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import phantom
from scripts.loaded import load_folder
from scripts.network import LineRates, Network, network
from scripts.pacs import open_pacs
from scripts.program import P2PACS, output_of
from tests.manual import manual

pytestmark = pytest.mark.system


@pytest.fixture(autouse=True)
def careless_umask() -> Iterator[None]:
    """Programs inherit it."""
    before = os.umask(0)
    yield
    os.umask(before)


def _open_to_others(*folders: Path) -> list[str]:
    """What group or others may do anything with."""
    found = []
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            mode = path.lstat().st_mode
            if mode & 0o077 and not stat.S_ISLNK(mode):
                found.append(f"{path}: {stat.S_IMODE(mode):o}")
    return found


async def _run(net: Network, *command: str | Path, given: str = "") -> str:
    log = net.folder / "commands.log"
    return await output_of(str(command[0]), [*P2PACS, *command], log, given=given)


@pytest.mark.timeout(240)
async def test_a_whole_network_leaves_nothing_open(tmp_path: Path) -> None:
    phantom.write(tmp_path / "phantom", phantom.slices(2))
    study = load_folder(tmp_path / "phantom")
    for name in ("broker", "replica", "hospital"):  # an administrator made them, as ever
        (tmp_path / name).mkdir(mode=0o755)
    folders = [tmp_path / name for name in ("broker", "replica", "hospital")]
    async with (
        open_pacs("embedded", tmp_path, study, "127.1.0.19") as pacs,
        network(tmp_path, LineRates("8mbit", "30mbit"), pacs) as net,
    ):
        for name, host in (("replica", "127.1.0.12"), ("hospital", "127.2.0.11")):
            peer = await net.add(name, name, host)
            await peer.start()
        hospital = net.peers["hospital"]
        await hospital.ready(lambda: hospital.knows(study.uid))
        out = tmp_path / "far" / "out"
        sheet = tmp_path / "far" / "sheet.png"
        get = ("get", hospital.folder, "-", "--out", out, "--preview", sheet)
        await _run(net, *get, given=f"{study.uid}\n")
        assert len(list(out.rglob("*.dcm"))) == 2
        assert _open_to_others(*folders, tmp_path / "far") == []  # -wal and -shm are there now

        # As an older version, a copy or a backup may have left it:
        await hospital.stop()
        (hospital.folder).chmod(0o755)
        for path in hospital.folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        await hospital.start()
        assert _open_to_others(hospital.folder) == []
        assert "open to other accounts" in hospital.folder.with_suffix(".log").read_text()


BACKUP = """
    (umask 077
     sqlite3"""


@pytest.mark.timeout(60)
def test_the_backup_that_is_documented_is_private(tmp_path: Path) -> None:
    _, begin, rest = manual().partition(BACKUP)
    block = (begin + rest).partition("\n\n")[0]
    (tmp_path / "lib").mkdir()
    (tmp_path / "password").write_text("a password of some length")
    init = ["broker", "init", tmp_path / "lib" / "broker", "--pacs", "dimse://PACS@127.0.0.1:104"]
    init += ["--listen", "127.0.0.1:4710", "--web", "127.0.0.1:8443", "--admin", "anna"]
    init += ["--password-file", tmp_path / "password"]
    subprocess.run([sys.executable, "-m", "p2pacs", *init], check=True, timeout=50)
    script = block.replace("/var/lib/p2pacs", f"{tmp_path}/lib").replace("/backup", f"{tmp_path}/b")
    (tmp_path / "b").mkdir(mode=0o755)
    subprocess.run(["bash", "-ec", script], check=True, timeout=30)
    made = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "b").iterdir()}
    assert made == {"broker.db": 0o600, "broker.tar.gz": 0o600}
    listed = subprocess.run(
        ["tar", "-tvzf", tmp_path / "b" / "broker.tar.gz"],
        check=True, capture_output=True, text=True, timeout=30,
    ).stdout  # fmt: skip
    assert "broker/signing.key" in listed
    assert not [line for line in listed.splitlines() if line[4:10] != "------"]
