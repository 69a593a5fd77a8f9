"""A peer's folder belongs to one process."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from p2pacs.errors import StateError
from peer.config import LOCK


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder is this process's alone, until the block or the process ends.

    Raises:
        StateError: another one has it.
    """
    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StateError(f"the peer in {folder} is already running") from error
        yield
