"""No command ends in a traceback, whatever its folders are like: over all commands."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from broker import config as broker_config
from broker.commands.cli import app as broker_app
from broker.config import BrokerSettings
from broker.setup import found
from p2pacs.front import SHORTCUTS, SIDES
from p2pacs.identity.token import Token
from p2pacs.ids import VirtualAddress
from peer import config as peer_config
from peer.commands.cli import app as peer_app
from peer.config import PeerSettings, save_peer_settings
from tests.components import free_port
from tests.p2pacs.identity.network import Network

PASSWORD = "a password of some length"
NOBODY = 65534
ADDRESS = VirtualAddress.parse("fd00::1")

USER = tuple(
    f"peer user {what}"
    for what in ("add", "password", "role", "list", "reset-second-factor", "remove")
)
FRONT = ("peer join", "peer run", *USER, "find", "get", "send", "status", "sent")
"""Commands of a peer's folder."""

ANEW = ("broker init", "archive")
"""Commands of no broker's folder."""

PROGRAM = [sys.executable, "-m", "tests.p2pacs.mistakes"]


def _may_not_do_everything() -> list[str]:
    """Modes count for root, too, once it has no capabilities."""
    return ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


def _commands(folder: Path, beside: Path) -> dict[str, list[str]]:
    """All commands, with ``folder`` as theirs; what they need besides is in another one."""
    (beside / "password").write_text(PASSWORD)
    token = Token(ADDRESS, ("127.0.0.1:9",), bytes(32), Token.new_secret())
    (beside / "token").write_text(token.encode())
    member = ["North"]
    password = ["--password-file", str(beside / "password")]
    listen = ["--listen", f"127.0.0.1:{free_port()}"]
    web = ["--web", "127.0.0.1:8443", "--admin", "anna", "--pacs", "dimse://P@127.0.0.1:104"]
    arguments = {
        "broker init": [*listen, *web, *password],
        "broker run": [],
        "broker token": ["--name", "South", "--role", "replica"],
        "broker members": [],
        "broker status": [],
        "broker revoke": [*member, "--yes"],
        "broker adopt": [*member, "--yes"],
        "broker correct": [*member, "--name", "West"],
        "broker delete": [*member, "--yes"],
        "broker rule": [*member, "none"],
        "broker send-rule": [*member, "none"],
        "broker may": [*member, "1.2.3"],
        "broker address": [*member, "1.2.3"],
        "broker audit": [],
        "broker password": ["--admin", "anna", *password],
        "broker admins": [],
        "broker reset-second-factor": ["--admin", "anna"],
        "broker role": ["--admin", "anna", "--role", "administrator"],
        "peer join": [*listen, "--token-file", str(beside / "token")],
        "peer run": [],
        "peer user add": ["rita", "--role", "operator", *password],
        "peer user password": ["rita", *password],
        "peer user role": ["rita", "radiologist"],
        "peer user list": [],
        "peer user reset-second-factor": ["rita"],
        "peer user remove": ["rita", "--yes"],
        "find": [],
        "get": ["1.2.3", "--out", str(beside / "out" / "far")],
        "send": [str(beside)],
        "status": [],
        "sent": [],
        "archive": ["--dicom", f"127.0.0.1:{free_port()}"],
    }
    return {name: [*name.split(), str(folder), *more] for name, more in arguments.items()}


def _names(app: typer.Typer) -> set[str]:
    own = {one.name or getattr(one.callback, "__name__", "") for one in app.registered_commands}
    for group in app.registered_groups:
        assert group.typer_instance is not None
        own |= {f"{group.name} {name}" for name in _names(group.typer_instance)}
    return own


def test_these_are_all_commands(tmp_path: Path) -> None:
    listed = {f"broker {name}" for name in _names(broker_app)}
    listed |= {f"peer {name}" for name in _names(peer_app)} | set(SHORTCUTS) | {"archive"}
    assert set(SIDES) == {"broker", "peer", "viewer"}
    assert set(_commands(tmp_path, tmp_path)) == listed


def _run(commands: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [*_may_not_do_everything(), *PROGRAM],
        input=json.dumps(list(commands.values())),
        capture_output=True,
        text=True,
        check=True,
        timeout=110,
    )
    return dict(zip(commands, json.loads(done.stdout), strict=True))


# ---------------------------------------------------------------- the folders


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A broker's and a peer's folder, as they should be."""
    parent = tmp_path_factory.mktemp("good")
    settings = BrokerSettings.model_validate(
        {
            "pacs": "dimse://PACS@127.0.0.1:9",
            "listen": [f"127.0.0.1:{free_port()}"],
            "web": {"listen": f"127.0.0.1:{free_port()}"},
        }
    )
    found(parent / "broker", settings, network="n", admin="anna", password=PASSWORD)
    Network.create(parent / "network").member("identity")
    (parent / "peer").mkdir()
    (parent / "network" / "identity").rename(parent / "peer" / "identity")
    said = {"name": "a", "listen": [f"127.0.0.1:{free_port()}"], "api": f"127.0.0.1:{free_port()}"}
    save_peer_settings(parent / "peer", PeerSettings.model_validate(said))
    (parent / "peer" / peer_config.API_ACCESS).write_text("token")
    return {"broker": parent / "broker", "peer": parent / "peer"}


def _missing(_folder: Path) -> None:
    pass


def _a_file(folder: Path) -> None:
    folder.write_text("a letter")


def _below_a_file(folder: Path) -> None:
    folder.parent.rmdir()
    folder.parent.write_text("a letter")


def _unreadable(folder: Path) -> None:
    folder.mkdir(mode=0o000)


def _below_what_cannot_be_entered(folder: Path) -> None:
    folder.mkdir()
    folder.parent.chmod(0o000)


def _unwritable_around(folder: Path) -> None:
    folder.parent.chmod(0o500)


SITUATIONS = [
    _missing,
    _a_file,
    _below_a_file,
    _unreadable,
    _below_what_cannot_be_entered,
    _unwritable_around,
]


def _check(results: dict[str, dict[str, Any]]) -> None:
    """Each command says in a line of ours why it cannot, or it can."""
    for name, result in results.items():
        assert "Traceback" not in result["err"], (name, result["err"])
        if result["code"]:
            assert result["err"].splitlines()[-1].startswith("p2pacs: "), (name, result["err"])


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: one.__name__.strip("_"))
def test_a_folder_that_is_none(tmp_path: Path, situation: Callable[[Path], None]) -> None:
    folder = tmp_path / "around" / "folder"
    folder.parent.mkdir()
    commands = _commands(folder, tmp_path)
    if situation is _missing:  # these make it
        del commands["broker init"], commands["archive"]
    situation(folder)
    try:
        results = _run(commands)
    finally:
        if folder.parent.is_dir():
            folder.parent.chmod(0o700)
            if folder.is_dir():
                folder.chmod(0o700)
    _check(results)
    assert all(result["code"] for name, result in results.items() if name != "archive")
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------- what lies in good folders


def _closed(path: Path) -> None:
    """As if another account had made it."""
    path.chmod(0o000)


def _swapped(path: Path) -> None:
    """A file in the place of a folder, or a folder in the place of a file."""
    if path.is_dir():
        shutil.rmtree(path)
        path.touch()
    else:
        path.unlink(missing_ok=True)
        path.mkdir()


def _damaged(path: Path) -> None:
    """Not what a program wrote."""
    if path.is_file():
        path.write_bytes(bytes(range(256)))


@pytest.mark.parametrize("how", [_closed, _swapped, _damaged], ids=lambda one: one.__name__)
@pytest.mark.parametrize("kind", ["broker", "peer"])
def test_each_thing_in_a_folder_is_wrong_once(
    folders: dict[str, Path], tmp_path: Path, kind: str, how: Callable[[Path], None]
) -> None:
    names = broker_config.OWN if kind == "broker" else peer_config.OWN
    commands = {}
    for name in (".", *names):
        folder = tmp_path / name.strip(".") / kind
        shutil.copytree(folders[kind], folder)
        (folder / "store").mkdir()
        for missing in {*names} - {path.name for path in folder.iterdir()}:
            (folder / missing).touch()
        how(folder / name)
        for command, arguments in _commands(folder, tmp_path).items():
            if (command in FRONT) is (kind == "peer") and command not in ANEW:
                commands[f"{command} {name}"] = arguments
    try:
        results = _run(commands)
    finally:
        for path in tmp_path.rglob("*"):
            if not path.stat().st_mode & 0o700:
                path.chmod(0o700)
    _check(results)
