"""`scripts/demo --web`: the network of the demo, its pages and the viewer, as long as wanted."""

from __future__ import annotations

import secrets
import sys
from functools import partial
from pathlib import Path
from typing import Final

import trio
from attrs import frozen
from rich.console import Console

from peer.config import VIEWER
from peer.viewer.installed import read_installed
from scripts.loaded import LoadedStudy
from scripts.member import PeerProcess
from scripts.network import ADMIN, Network, set_toml
from scripts.program import P2PACS, Command, free_port, output_of
from scripts.steps import CATALOGUE_SECONDS

PERSON: Final = "rita"
ROLE: Final = "radiologist"


@frozen
class HospitalPages:
    """Where a hospital of the demo is looked at."""

    name: str
    pages: str
    """URL."""
    password: Path
    """File with the password of `PERSON`."""


async def open_pages(net: Network, name: str, host: str) -> HospitalPages:
    """Adds a hospital with pages, an account and the viewer, and starts it."""
    peer = await net.add(name, "hospital", host)
    pages, viewer = (f"{host}:{free_port(host)}" for _ in range(2))
    settings = {
        "web.listen": pages,
        "gateway.viewer": viewer,
        "gateway.viewer_files": sys.prefix,
    }
    set_toml(peer.folder / "peer.toml", settings)
    password = await add_person(peer, net.folder)
    await peer.start()
    return HospitalPages(name, f"http://{pages}/", password)


async def add_person(peer: PeerProcess, folder: Path) -> Path:
    """Gives a hospital an account of `PERSON`; the file with the password, in a folder."""
    password = folder / f"{peer.name}.password"
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(12) + "\n", encoding="ascii")
    command: Command = [*P2PACS, "peer", "user", "add", peer.folder, PERSON, "--role", ROLE]
    command += ["--password-file", password]
    await output_of("p2pacs peer user add", command, folder / f"{peer.name}.log")
    return password


async def show(net: Network, hospitals: dict[str, str], study: LoadedStudy, to: Console) -> None:
    """Starts hospitals with pages, says where to look, and waits until it is cancelled.

    Args:
        net: broker and replicas, running.
        hospitals: name → host.
        study: that all of them may read.
        to: where it is said.
    """
    opened = [await open_pages(net, name, host) for name, host in hospitals.items()]
    for one in opened:
        peer = net.peers[one.name]
        await peer.ready(partial(peer.knows, study.uid), CATALOGUE_SECONDS)
    for line in where(net, opened):
        to.print(line, soft_wrap=True, highlight=False)
    await trio.sleep_forever()


def where(net: Network, hospitals: list[HospitalPages]) -> list[str]:
    """Where to look, a line each."""
    lines = ["", "The network runs. In a browser on this machine:"]
    lines.append(f"  the administrator   {net.web}/ ({ADMIN}, password in {net.password})")
    lines += [
        f"  {one.name}          {one.pages} ({PERSON}, password in {one.password})"
        for one in hospitals
    ]
    lines.append("A study's page has the button that opens it in the viewer.")
    if read_installed(Path(sys.prefix) / VIEWER) is None:
        lines.append(f"The viewer is not installed: p2pacs viewer install {sys.prefix}")
    return [*lines, "Ctrl-C ends everything."]
