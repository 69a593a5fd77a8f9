"""p2pacs as it is installed: from a wheel, in an environment of its own, far from the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from attrs import frozen

ROOT = Path(__file__).parent.parent.parent
BUILD = """
import sys
from setuptools import build_meta
print(getattr(build_meta, sys.argv[1])(sys.argv[2]))
"""
SOURCES = ("p2pacs", "broker", "peer", "pyproject.toml", "README.md", "LICENSE")


def _environment() -> dict[str, str]:
    """Of this process, but for the path to the checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@frozen
class Installed:
    """An environment with p2pacs from a wheel."""

    wheel: Path
    python: Path
    packages: Path
    """Where the environment has its packages."""

    @property
    def program(self) -> Path:
        return self.python.parent / "p2pacs"

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that finds this p2pacs, and nothing of the checkout."""
        kept = _environment()
        return kept | {"PATH": f"{self.python.parent}:{kept['PATH']}"}

    def run(self, *arguments: str | Path, cwd: Path, given: str = "") -> str:
        """What a command prints; it must succeed."""
        done = subprocess.run(
            [self.program, *arguments],
            cwd=cwd,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def _build(hook: str, source: Path, into: Path) -> Path:
    """What a build frontend asks of the backend (PEP 517)."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD, hook, into],
        cwd=source,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return into / done.stdout.splitlines()[-1]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Built from a source distribution that was built from what the checkout has."""
    work = tmp_path_factory.mktemp("installed")
    source = work / "source"
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, ignore=ignore)
        else:
            shutil.copy(ROOT / name, source)
    archive = _build("build_sdist", source, work)
    shutil.unpack_archive(archive, work / "unpacked", filter="data")
    (unpacked,) = (work / "unpacked").iterdir()
    wheel = _build("build_wheel", unpacked, work)
    home = work / "environment"
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = home / "lib" / version / "site-packages"
    install = ["--python", python, "install", "-q", "--no-deps", "--no-index", "--no-compile"]
    # Away from the checkout, whose p2pacs.egg-info would be taken for one that is installed.
    subprocess.run(
        [sys.executable, "-m", "pip", *install, wheel],
        cwd=work,
        env=_environment(),
        check=True,
        timeout=100,
    )
    assert (python.parent / "p2pacs").exists()
    # What p2pacs needs is the test environment's; ours there is not, as that is known by a
    # .pth file or by the path alone.
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Installed(wheel, python, packages)
