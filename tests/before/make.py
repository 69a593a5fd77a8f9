"""Makes `folders-of-NNNN.tar.xz`: a small network's folders, as this version of p2pacs leaves them.

    python -m tests.before.make

NNNN is the revision of the broker's tables. What is there already stays: each archive is a version
from which an upgrade must work (`test_whole.py`). To be run when tables or formats have changed,
before a version is published.
"""

from __future__ import annotations

import json
import sys
import tarfile
import tempfile
from pathlib import Path

import trio

from broker.config import LOCK
from broker.database.db import newest_revision
from p2pacs.process import logs
from peer.config import API_ACCESS
from scripts.loaded import LoadedStudy, load_folder
from scripts.network import ADMIN, LineRates, Network, network
from scripts.pacs import open_pacs
from scripts.phantom import write
from scripts.program import P2PACS, output_of
from tests.p2pacs.pages.browser import PASSWORD
from tests.p2pacs.study import samples

HERE = Path(__file__).parent
FOLDERS = ("broker", "replica-1", "hospital-a")
FACTS = "facts.json"
USER = "rita"
INSTANCES = 6
SECONDS = 60.0
POLL = 0.2


async def make(folder: Path) -> dict[str, object]:
    """A network in this folder, stopped, with one study that each of its members holds.

    Returns:
        What must still be so.
    """
    write(folder / "dicom", (samples.instance(number) for number in range(1, INSTANCES + 1)))
    study = load_folder(folder / "dicom")
    async with (
        open_pacs("embedded", folder, study) as pacs,
        network(folder, LineRates(None, None), pacs) as net,
    ):
        await _fetched(net, study)
    return {
        "study": study.uid,
        "digests": study.digests,
        "admin": {"name": ADMIN, "password": net.password.read_text().strip()},
        "user": {"name": USER, "password": PASSWORD},
    }


async def _fetched(net: Network, study: LoadedStudy) -> None:
    replica = await net.add("replica-1", "replica", "127.1.0.21")
    hospital = await net.add("hospital-a", "hospital", "127.3.0.21")
    (net.folder / "user").write_text(PASSWORD + "\n")
    await output_of(
        "p2pacs peer user add",
        [
            *(*P2PACS, "peer", "user", "add", hospital.folder, USER, "--role", "radiologist"),
            *("--password-file", net.folder / "user"),
        ],
        net.folder / "user.log",
    )
    await replica.start()
    await hospital.start()
    await hospital.ready(lambda: hospital.knows(study.uid), SECONDS)
    await hospital.fetch(study.uid)
    await hospital.complete(POLL, SECONDS)
    await replica.complete(POLL, SECONDS)


def pack(folder: Path, facts: dict[str, object], archive: Path) -> None:
    """All of it that is worth keeping; nothing of who made it, and when."""
    (folder / FACTS).write_text(json.dumps(facts, indent=1))
    with tarfile.open(archive, "w:xz", preset=9) as packed:
        for name in (FACTS, *FOLDERS):
            packed.add(folder / name, name, filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if Path(member.name).name in (LOCK, API_ACCESS):
        return None
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


def main() -> None:
    """Make it, unless it is there."""
    logs.configure("warning", json=False)
    archive = HERE / f"folders-of-{newest_revision()}.tar.xz"
    if archive.exists():
        sys.exit(f"{archive.name} is there already")
    with tempfile.TemporaryDirectory() as folder:
        pack(Path(folder), trio.run(make, Path(folder)), archive)
    sys.stdout.write(f"{archive.name}: {archive.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
