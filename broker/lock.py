"""One broker a folder: a lock that the operating system takes back when the program ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker.config import LOCK
from p2pacs.errors import StateError


@contextmanager
def running_lock(folder: Path) -> Iterator[None]:
    """Hold the folder while the broker runs.

    Raises:
        StateError: a broker runs in it already.
    """
    with (folder / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError(f"a broker runs in {folder} already: stop it first") from error
        yield


def is_running(folder: Path) -> bool:
    """Whether a broker runs in this folder now."""
    try:
        with running_lock(folder):
            return False
    except StateError:
        return True
