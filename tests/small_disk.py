"""A disk of its own that can really be full: a small tmpfs, mounted for one test."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path

from attrs import frozen


@frozen
class SmallDisk:
    """A mounted disk."""

    folder: Path

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    @property
    def _crowd(self) -> Path:
        return self.folder / "crowd"

    def fill(self) -> None:
        """Take all the room that is left: for bytes, and for files."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (64 * 1024, 4096, 1):
                with suppress(OSError):  # no space left, which is what is wanted
                    while True:
                        file.write(bytes(size))
        self.crowd()

    def crowd(self) -> None:
        """Take all the room for files; there is some for bytes."""
        self._ballast.touch()
        with suppress(OSError):
            self._crowd.mkdir()
            for number in count():
                (self._crowd / str(number)).touch()

    def free(self) -> None:
        """Give it back."""
        shutil.rmtree(self._crowd, ignore_errors=True)
        self._ballast.unlink()


@contextmanager
def small_disk(folder: Path, size: str = "4m") -> Iterator[SmallDisk]:
    """A disk of this size at ``folder``, which is made."""
    folder.mkdir(exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size},nr_inodes=200,mode=700", "none", str(folder))
    try:
        yield SmallDisk(folder)
    finally:
        _run("umount", "--lazy", str(folder))


@cache
def why_none() -> str | None:
    """Why no disk can be mounted here; None if one can."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with small_disk(Path(folder) / "disk"):
                return None
        except (OSError, subprocess.CalledProcessError) as error:
            return f"a tmpfs cannot be mounted ({error}): run as root"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
