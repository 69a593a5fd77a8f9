"""Small files that hold keys, in private folders (`p2pacs.files.private_files`)."""

from __future__ import annotations

from pathlib import Path

from p2pacs.errors import StateError
from p2pacs.files.private_files import write_private
from p2pacs.identity.keys import Secret


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
