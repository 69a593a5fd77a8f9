"""The wheel: everything that the programs need, nothing else, and it runs far from the checkout."""

from __future__ import annotations

import subprocess
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from p2pacs.version import own_version
from tests.deploy.conftest import ROOT, Installed

pytestmark = pytest.mark.system

ROOMS = ("p2pacs", "broker", "peer")


def test_the_wheel_holds_every_file_of_the_programs_and_no_other(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    there = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == there


def test_the_wheel_says_what_it_is(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith("/METADATA"))
        said = Parser().parsestr(archive.read(name).decode())
        (points,) = (one for one in archive.namelist() if one.endswith("/entry_points.txt"))
        assert archive.read(points).decode().split() == [
            "[console_scripts]",
            "p2pacs",
            "=",
            "p2pacs.__main__:main",
        ]
        assert any(one.endswith("licenses/LICENSE") for one in archive.namelist())
    assert (said["Name"], said["Version"]) == ("p2pacs", own_version())
    assert said["License-Expression"] == "Apache-2.0"
    assert said["Description-Content-Type"] == "text/markdown"
    needed = [one for one in said.get_all("Requires-Dist") or [] if "extra ==" not in one]
    assert not [one for one in needed if one.startswith(("pytest", "mypy", "ruff"))]


def test_it_runs_out_of_the_environment(installed: Installed, tmp_path: Path) -> None:
    assert installed.run("--version", cwd=tmp_path) == f"p2pacs {own_version()}\n"
    assert "broker" in installed.run("--help", cwd=tmp_path)
    program = "import broker, peer, p2pacs; print(*(m.__path__[0] for m in (broker, peer, p2pacs)))"
    where = subprocess.run(
        [installed.python, "-c", program],
        cwd=tmp_path,
        env=installed.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.split()
    assert where == [str(installed.packages / name) for name in ("broker", "peer", "p2pacs")]


def test_nothing_but_ours_comes_into_the_path(installed: Installed) -> None:
    """pipx links the commands of this package alone: not pynetdicom's storescu and others."""
    commands = {path.name for path in installed.python.parent.iterdir()}
    assert {one for one in commands if not one.startswith(("python", "activate", "Activate"))} == {
        "p2pacs"
    }
