"""Small files that hold keys: private to their owner, replaced whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from p2pacs.errors import StateError
from p2pacs.identity.keys import Secret


def make_private_folder(folder: Path) -> None:
    """Make the folder, with its parents; only its owner may enter it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def write_private(path: Path, data: bytes) -> None:
    """Replace the file by ``data``, readable by its owner only (mode 0600).

    Written beside it, flushed, renamed over it, and the folder flushed: after a
    power cut the file holds either the old bytes or the new ones.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:  # mkstemp makes it 0600
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_file(path: Path, what: str) -> bytes:
    """The bytes of a file that must be there.

    Args:
        path: the file.
        what: what it holds, for the error message.

    Raises:
        StateError: it is not there or may not be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise StateError(f"{what} is missing or not readable: {path}: {error.strerror}") from error


def write_secret(path: Path, secret: Secret) -> None:
    """Keep a secret in a file of its own, as hexadecimal text."""
    write_private(path, secret.reveal().hex().encode() + b"\n")


def read_secret(path: Path, what: str) -> Secret:
    """The secret that `write_secret` kept.

    Raises:
        StateError: the file is missing or does not hold hexadecimal text.
    """
    try:
        return Secret(bytes.fromhex(read_file(path, what).decode("ascii")))
    except ValueError as error:
        raise StateError(f"{what} is damaged: {path}; restore it from a backup") from error
